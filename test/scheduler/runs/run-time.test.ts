import { describe, expect, it } from 'vitest';
import { RunTime } from '../../../src/scheduler/runs/run-time.ts';

describe('the time on the instance', () => {
  it('is not known of a run that nobody saw begin', () => {
    const time = new RunTime();
    time.seen(500);
    expect(time.ms).toBeNull();
  });

  it('goes from the first sign of its begin to the last sign of it', () => {
    const time = new RunTime();
    time.begun(100);
    expect(time.ms).toBe(0);
    time.seen(350);
    time.begun(200);
    time.seen(300);
    expect([time.begunAt, time.ms]).toEqual([100, 250]);
  });

  it('is what history says, where it says anything sensible, and no more than can be', () => {
    const time = new RunTime();
    time.begun(100);
    time.seen(350);
    time.told({ startedAt: null, endedAt: 5 }, 1000);
    time.told({ startedAt: 7, endedAt: 5 }, 1000);
    expect(time.ms).toBe(250);
    time.told({ startedAt: 5000, endedAt: 5240 }, 1000);
    expect(time.ms).toBe(240);
    time.told({ startedAt: 5000, endedAt: 9000 }, 1000);
    expect(time.ms).toBe(1000);
  });
});
