import { describe, expect, it } from 'vitest';
import { Pace, paced, SourceError } from '../../../src/scheduler/transfers/pace.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

/** A sender that brings so many bytes after so many ms each time. */
async function* trickle(clock: VirtualClock, everyMs: number, bytes: number, times: number) {
  for (let n = 0; n < times; n++) {
    const due = new Promise<void>((resolve) => clock.after(everyMs, resolve));
    await due;
    yield new Uint8Array(bytes);
  }
}

/** Reads to the end while time goes by; the bytes, or the message of the error. */
async function read(clock: VirtualClock, source: AsyncIterable<Uint8Array>): Promise<number | string> {
  const floor = { bytesPerSecond: 65_536, clock, onBytes: () => null };
  let total = 0;
  let result: number | string | undefined;
  void (async () => {
    try {
      for await (const piece of paced(source, floor)) total += piece.length;
      result = total;
    } catch (error) {
      result = error instanceof SourceError ? error.message : 'another error';
    }
  })();
  while (result === undefined) await clock.advance(1000);
  return result;
}

describe('the pace of a transfer (F27)', () => {
  it('ends one that brings less than the floor over a window', async () => {
    const clock = new VirtualClock();
    const since = clock.now();
    expect(await read(clock, trickle(clock, 5000, 1000, 1000))).toBe('slower than 65536 bytes a second');
    expect(clock.now() - since).toBeLessThanOrEqual(40_000);
  });

  it('lets one go on that is just fast enough, however long it takes', async () => {
    const clock = new VirtualClock();
    expect(await read(clock, trickle(clock, 1000, 70_000, 300))).toBe(300 * 70_000);
  });

  it('allows a slow start and short breaks, as long as the window as a whole is fast enough', async () => {
    const clock = new VirtualClock();
    expect(await read(clock, trickle(clock, 20_000, 4_000_000, 10))).toBe(40_000_000);
  });

  it('ends one that becomes slow after a fast beginning', () => {
    const pace = new Pace(1000, 10_000);
    for (let at = 0; at <= 10_000; at += 100) expect(pace.isTooSlow(1000, at)).toBe(false);
    const slow = [];
    for (let at = 11_000; at <= 30_000; at += 1000) if (pace.isTooSlow(10, at)) slow.push(at);
    expect(slow[0]).toBeGreaterThan(19_000);
    expect(slow.at(-1)).toBe(30_000);
  });

  it('does not blame the sender for a reader that takes its time', async () => {
    const clock = new VirtualClock();
    const floor = { bytesPerSecond: 65_536, clock, onBytes: () => null };
    let total = 0;
    for await (const piece of paced(trickle0(), floor)) {
      total += piece.length;
      await clock.advance(20_000);
    }
    expect(total).toBe(50);
  });

  it('tells an error of the source from any other', async () => {
    const clock = new VirtualClock();
    const broken = (async function* () {
      yield new Uint8Array(1);
      throw new Error('ECONNRESET');
    })();
    expect(await read(clock, broken)).toBe('ECONNRESET');
  });
});

async function* trickle0() {
  for (let n = 0; n < 5; n++) yield new Uint8Array(10);
}
