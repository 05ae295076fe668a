import { describe, expect, it, vi } from 'vitest';
import { CRASH_POINTS, crashingAt, parseCrashPlan } from '../../src/domain/crash-points.ts';

describe('a crash plan', () => {
  it('is a known label, with the time it counts or the first', () => {
    expect(parseCrashPlan('queue:after-commit')).toEqual({ point: 'queue:after-commit', nth: 1 });
    expect(parseCrashPlan('output:receiving:12')).toEqual({ point: 'output:receiving', nth: 12 });
    for (const point of CRASH_POINTS) expect(parseCrashPlan(point)).toEqual({ point, nth: 1 });
  });

  it('is nothing else', () => {
    for (const text of ['', 'queue', 'queue:', 'nowhere:3', 'queue:after-commit:0', 'queue:after-commit:x'])
      expect(parseCrashPlan(text), text).toBeNull();
  });
});

describe('a crash hook', () => {
  it('strikes once, the nth time its own point is reached', () => {
    const crash = vi.fn();
    const reach = crashingAt({ point: 'complete:announced', nth: 2 }, crash);
    reach('complete:announced');
    reach('complete:after-commit');
    expect(crash).not.toHaveBeenCalled();
    reach('complete:announced');
    reach('complete:announced');
    expect(crash).toHaveBeenCalledTimes(1);
  });
});
