import { describe, expect, it } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { Loop } from '../../src/lib/loop.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const logger = createLogger('silent');

function setup(step: (signal: AbortSignal) => Promise<void>, intervalMs = 1000) {
  const clock = new VirtualClock();
  return { clock, loop: new Loop({ name: 'test', intervalMs, step, clock, logger }) };
}

describe('Loop', () => {
  it('steps at once, then after each interval', async () => {
    let steps = 0;
    const { clock, loop } = setup(async () => void steps++);
    await loop.start();
    await clock.advance(2500);
    expect(steps).toBe(3);
    await loop.stop();
  });

  it('steps early when woken, and counts the interval from there', async () => {
    let steps = 0;
    const { clock, loop } = setup(async () => void steps++);
    await loop.start();
    await clock.advance(600);
    loop.wake();
    await clock.advance(600);
    expect(steps).toBe(2);
    await clock.advance(400);
    expect(steps).toBe(3);
    await loop.stop();
  });

  it('never runs two steps at once: wakes during a step make exactly one more follow', async () => {
    let running = 0;
    let most = 0;
    let steps = 0;
    const gate = deferred();
    const { clock, loop } = setup(async () => {
      most = Math.max(most, ++running);
      if (++steps === 1) await gate.promise;
      running--;
    });
    await loop.start();
    for (let n = 0; n < 5; n++) loop.wake();
    gate.resolve(undefined);
    await clock.advance(0);
    expect({ most, steps }).toEqual({ most: 1, steps: 2 });
    await loop.stop();
  });

  it('goes on after a step that throws', async () => {
    let steps = 0;
    const { clock, loop } = setup(async () => {
      steps++;
      throw new Error('no');
    });
    await loop.start();
    await clock.advance(1000);
    expect(steps).toBe(2);
    await loop.stop();
  });

  it('waits on stop for the step under way, tells it to end, and leaves no timer', async () => {
    let aborted = false;
    const { clock, loop } = setup(
      (signal) =>
        new Promise((resolve) =>
          signal.addEventListener('abort', () => {
            aborted = true;
            resolve();
          }),
        ),
    );
    await loop.start();
    await loop.stop();
    await loop.stop();
    expect(aborted).toBe(true);
    expect(clock.pending).toBe(0);
    loop.wake();
    expect(clock.pending).toBe(0);
  });
});

function deferred() {
  let resolve: (value: unknown) => void = () => undefined;
  const promise = new Promise((r) => {
    resolve = r;
  });
  return { promise, resolve };
}
