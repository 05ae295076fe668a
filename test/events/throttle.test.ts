import { describe, expect, it } from 'vitest';
import { Throttle } from '../../src/events/throttle.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

describe('Throttle', () => {
  it('acts at once, then once more after the pause for all that was asked meanwhile', async () => {
    const clock = new VirtualClock();
    const acted: number[] = [];
    const throttle = new Throttle(clock, 1000, () => acted.push(clock.monotonic()));
    for (let n = 0; n < 25; n++) {
      throttle.ask();
      await clock.advance(100);
    }
    await clock.advance(5000);
    expect(acted).toEqual([0, 1000, 2000, 3000]);
    throttle.ask();
    expect(acted.at(-1)).toBe(7500);
  });

  it('leaves nothing behind when it is canceled', async () => {
    const clock = new VirtualClock();
    let acted = 0;
    const throttle = new Throttle(clock, 1000, () => acted++);
    throttle.ask();
    throttle.ask();
    throttle.cancel();
    expect(clock.pending).toBe(0);
    await clock.advance(5000);
    expect(acted).toBe(1);
  });
});
