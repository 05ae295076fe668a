import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isOverdue, remainingOfJob, restOfRun } from '../../../src/scheduler/forecast/expectation.ts';

const ms = fc.nat(10_000_000);
const steps = fc.option(fc.record({ share: fc.double({ min: 0, max: 1, noNaN: true }), remainingMs: ms }));

describe('what is left of a run', () => {
  it('is what was expected less what has passed, and never nothing', () => {
    expect(restOfRun(10_000, 4000)).toBe(6000);
    expect(restOfRun(10_000, 20_000)).toBe(4000);
  });

  it('is nothing to count on once the run takes a fifth longer than expected', () => {
    expect([10_000, 12_000, 12_001].map((elapsed) => isOverdue(10_000, elapsed))).toEqual([
      false,
      false,
      true,
    ]);
  });

  it('is known from steps alone, else not at all', () => {
    expect(remainingOfJob(null, 500, { share: 0.5, remainingMs: 700 })).toBe(700);
    expect(remainingOfJob(null, 500, null)).toBeNull();
  });

  it('follows the steps the more the further they are', () => {
    const at = (share: number) => remainingOfJob(20_000, 10_000, { share, remainingMs: 4000 });
    expect(at(0)).toBe(10_000);
    expect(at(0.5)).toBe(7000);
    expect(at(1)).toBe(4000);
  });

  it('is never negative, and never less than the running node takes', () => {
    fc.assert(
      fc.property(ms, ms, steps, (expected, elapsed, node) => {
        const left = remainingOfJob(expected, elapsed, node) ?? Number.NaN;
        expect(left).toBeGreaterThanOrEqual((node?.remainingMs ?? 0) * (1 - 1e-9));
      }),
    );
  });
});
