import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { estimateDrainMs, estimateWaitMs } from '../../src/graphql/wait-estimate.ts';

describe('estimates of waiting', () => {
  it('are unknown without history or without places', () => {
    expect(estimateWaitMs(1, { meanRunMs: null, capacity: 2, running: 0 })).toBeNull();
    expect(estimateWaitMs(1, { meanRunMs: 1000, capacity: 0, running: 0 })).toBeNull();
    expect(estimateDrainMs(3, { meanRunMs: null, capacity: 2, running: 0 })).toBeNull();
  });

  it('are nothing where a place is free or nothing is left to do', () => {
    expect(estimateWaitMs(1, { meanRunMs: 1000, capacity: 2, running: 1 })).toBe(0);
    expect(estimateDrainMs(0, { meanRunMs: null, capacity: 0, running: 0 })).toBe(0);
  });

  it('share the work among the places', () => {
    expect(estimateWaitMs(4, { meanRunMs: 1000, capacity: 2, running: 2 })).toBe(2000);
    expect(estimateDrainMs(4, { meanRunMs: 1000, capacity: 2, running: 2 })).toBe(3000);
  });

  it('never fall for who stands further back', () => {
    const throughput = fc.record({
      meanRunMs: fc.nat(1_000_000),
      capacity: fc.integer({ min: 1, max: 100 }),
      running: fc.nat(100),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), throughput, (position, given) => {
        const here = estimateWaitMs(position, given) ?? Number.NaN;
        expect(estimateWaitMs(position + 1, given)).toBeGreaterThanOrEqual(here);
        expect(here).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});
