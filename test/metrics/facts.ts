/** Facts of all kinds, for property tests. */
import fc from 'fast-check';
import type { MetricFact } from '../../src/domain/metric-fact.ts';

const HOUR = 3_600_000;

/** Up to `most` facts, older than `now` by anything from nothing to months; clocks that went back make some newer. */
export function facts(now: number, most = 30): fc.Arbitrary<MetricFact[]> {
  const age = fc.oneof(
    fc.integer({ min: 0, max: 30_000 }),
    fc.integer({ min: 0, max: 3 * HOUR }),
    fc.integer({ min: -60_000, max: 60 * 24 * HOUR }),
  );
  const common = {
    at: age.map((ms) => now - ms),
    tenant: fc.constantFrom('t1', 't2'),
    workflow: fc.constantFrom('w1', 'w2', 'w 3'),
  };
  const instanceId = fc.constantFrom('i1', 'i2', 'i3');
  const runMs = fc.oneof(
    fc.constant(0),
    fc.integer({ min: 1, max: 90_000 }),
    fc.integer({ min: 0, max: 2 * HOUR }),
  );
  const code = fc.constantFrom('OUT_OF_MEMORY' as const, 'TIMEOUT' as const, null);
  const is = <const K extends MetricFact['kind']>(kind: K) => ({ kind: fc.constant(kind), ...common });
  return fc.array(
    fc.oneof(
      fc.record({ ...is('submitted') }),
      fc.record({ ...is('started'), instanceId, queueMs: fc.integer({ min: 0, max: HOUR }) }),
      fc.record({
        ...is('attempt-ended'),
        ...{ instanceId, code, runMs, counted: fc.boolean() },
        outcome: fc.constantFrom(
          'SUCCEEDED' as const,
          'FAILED' as const,
          'CANCELED' as const,
          'LOST' as const,
        ),
      }),
      fc.record({
        ...is('ended'),
        ...{ code, message: fc.constantFrom('no memory', null), runMs: fc.option(runMs) },
        instanceId: fc.option(instanceId),
        status: fc.constantFrom('COMPLETED' as const, 'FAILED' as const, 'CANCELED' as const),
      }),
    ),
    { maxLength: most },
  );
}
