import { describe, expect, it } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { notedIfLong } from '../../src/scheduler/noting.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

function pending<T>() {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

function scene() {
  const clock = new VirtualClock();
  const run = { parts: { clock }, logger: createLogger('silent'), stopSignal: new AbortController().signal };
  const written: string[] = [];
  const note = async () => written.push('note');
  return { clock, run, written, note };
}

describe('notedIfLong', () => {
  it('writes nothing of what is over in a moment, then or later', async () => {
    const { clock, run, written, note } = scene();
    expect(await notedIfLong(run, Promise.resolve('done'), note)).toBe('done');
    await clock.advance(60_000);
    expect(written).toEqual([]);
  });

  it('writes once what goes on, while it goes on', async () => {
    const { clock, run, written, note } = scene();
    const work = pending<string>();
    const noted = notedIfLong(run, work.promise, note);
    await clock.advance(1000);
    expect(written).toEqual(['note']);
    work.resolve('done');
    expect(await noted).toBe('done');
    expect(written).toEqual(['note']);
  });

  it('does not end before the write that it began, so that the next write comes after it', async () => {
    const { clock, run } = scene();
    const work = pending<string>();
    const writing = pending<void>();
    let over = false;
    const noted = notedIfLong(run, work.promise, () => writing.promise).finally(() => {
      over = true;
    });
    await clock.advance(1000);
    work.resolve('done');
    await clock.advance(1000);
    expect(over).toBe(false);
    writing.resolve();
    expect(await noted).toBe('done');
  });

  it('fails as the work fails, without a write', async () => {
    const { clock, run, written, note } = scene();
    await expect(notedIfLong(run, Promise.reject(new Error('broke')), note)).rejects.toThrow('broke');
    await clock.advance(60_000);
    expect(written).toEqual([]);
  });
});
