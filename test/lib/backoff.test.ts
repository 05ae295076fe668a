import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fullJitter } from '../../src/lib/backoff.ts';

const bounds = { baseMs: 1000, capMs: 60_000 };

describe('fullJitter', () => {
  it('spreads over the whole of a range that doubles with each try', () => {
    expect([1, 2, 3, 4].map((tries) => fullJitter(tries, bounds, () => 0.999))).toEqual([
      999, 1998, 3996, 7992,
    ]);
    expect(fullJitter(4, bounds, () => 0)).toBe(0);
  });

  it('never exceeds the cap, however many tries', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (tries, random) => {
          const delay = fullJitter(tries, bounds, () => random);
          expect(delay).toBeGreaterThanOrEqual(0);
          expect(delay).toBeLessThanOrEqual(bounds.capMs);
        },
      ),
    );
  });
});
