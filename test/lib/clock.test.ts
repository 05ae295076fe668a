import { describe, expect, it } from 'vitest';
import { pause } from '../../src/lib/clock.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

describe('pause', () => {
  it('answers true when the whole time went by', async () => {
    const clock = new VirtualClock();
    const paused = pause(clock, 100, new AbortController().signal);
    await clock.advance(100);
    expect(await paused).toBe(true);
  });

  it('answers false at once when it is aborted, and leaves no timer', async () => {
    const clock = new VirtualClock();
    const controller = new AbortController();
    const paused = pause(clock, 100, controller.signal);
    controller.abort();
    expect(await paused).toBe(false);
    expect(clock.pending).toBe(0);
    expect(await pause(clock, 100, controller.signal)).toBe(false);
  });
});
