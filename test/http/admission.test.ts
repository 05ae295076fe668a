import { describe, expect, it } from 'vitest';
import { Admission } from '../../src/http/admission.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const admitted = (admission: Admission, asked: number): number =>
  Array.from({ length: asked }, () => admission.admit()).filter(Boolean).length;

describe('the admission of connections (F40)', () => {
  it('lets as many in at once as in a second, then no more until time has passed', async () => {
    const clock = new VirtualClock();
    const admission = new Admission(500, clock);
    expect(admitted(admission, 5000)).toBe(500);
    expect(admitted(admission, 1)).toBe(0);
    await clock.advance(100);
    expect(admitted(admission, 5000)).toBe(50);
  });

  it('lets 5,000 who keep trying in within ten seconds', async () => {
    const clock = new VirtualClock();
    const admission = new Admission(500, clock);
    let waiting = 5000;
    for (let second = 0; second < 9; second++) {
      waiting -= admitted(admission, waiting);
      expect(waiting).toBe(5000 - 500 * (second + 1));
      await clock.advance(1000);
    }
    expect(admitted(admission, waiting)).toBe(500);
  });

  it('saves nothing up beyond one second', async () => {
    const clock = new VirtualClock();
    const admission = new Admission(10, clock);
    await clock.advance(3_600_000);
    expect(admitted(admission, 100)).toBe(10);
  });
});
