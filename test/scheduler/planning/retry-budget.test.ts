import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BUDGET_WINDOW_MS, DispatchCount, mayRetry } from '../../../src/scheduler/planning/retry-budget.ts';

const step = fc.record({
  afterMs: fc.oneof(fc.integer({ min: 0, max: 2500 }), fc.integer({ min: 0, max: BUDGET_WINDOW_MS })),
  wantsRetry: fc.boolean(),
});

describe('the retry budget', () => {
  it('is nothing at all, not even the least that a small fleet has, when it is set to 0', () => {
    expect([mayRetry({ all: 0, retries: 0 }, 10), mayRetry({ all: 5000, retries: 0 }, 0)]).toEqual([
      true,
      false,
    ]);
  });

  it('holds repeated attempts to the larger of three and a tenth of the dispatches, whatever comes (F44)', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.constantFrom(10, 25), (steps, percent) => {
        const count = new DispatchCount();
        const done: { at: number; isRetry: boolean }[] = [];
        let now = 0;
        for (const { afterMs, wantsRetry } of steps) {
          now += afterMs;
          if (wantsRetry && !mayRetry(count.recent(now), percent)) continue;
          count.add(now, wantsRetry);
          done.push({ at: now, isRetry: wantsRetry });
          if (!wantsRetry) continue;
          const recent = done.filter(({ at }) => at > now - BUDGET_WINDOW_MS);
          const retries = recent.filter(({ isRetry }) => isRetry).length;
          expect(retries).toBeLessThanOrEqual(Math.max(3, (recent.length * percent) / 100));
        }
      }),
    );
  });

  it('always lets three go, and the next one once enough else was dispatched or the window has passed', () => {
    const count = new DispatchCount();
    for (let n = 0; n < 3; n++) {
      expect(mayRetry(count.recent(1000), 10)).toBe(true);
      count.add(1000, true);
    }
    expect(mayRetry(count.recent(1000), 10)).toBe(false);
    expect(mayRetry(count.recent(1000 + BUDGET_WINDOW_MS - 1), 10)).toBe(false);
    expect(mayRetry(count.recent(1000 + BUDGET_WINDOW_MS), 10)).toBe(true);
    for (let n = 0; n < 36; n++) count.add(1000 + BUDGET_WINDOW_MS, false);
    for (let n = 0; n < 3; n++) count.add(1000 + BUDGET_WINDOW_MS, true);
    expect(mayRetry(count.recent(1000 + BUDGET_WINDOW_MS), 10)).toBe(true);
    count.add(1000 + BUDGET_WINDOW_MS, true);
    expect(mayRetry(count.recent(1000 + BUDGET_WINDOW_MS), 10)).toBe(false);
  });

  it('counts a busy fleet without keeping each dispatch', () => {
    const count = new DispatchCount();
    for (let n = 0; n < 100_000; n++) count.add(n, n % 100 === 0);
    expect(count.recent(100_000)).toEqual({ all: 100_000, retries: 1000 });
    const later = count.recent(50_000 + BUDGET_WINDOW_MS);
    expect(later.retries).toBe(499);
    expect(later.all).toBeLessThanOrEqual(50_000);
    expect(later.all).toBeGreaterThan(48_000);
    expect(count.recent(100_000 + BUDGET_WINDOW_MS)).toEqual({ all: 0, retries: 0 });
  });
});
