import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FAULTS, type FaultCode, fault } from '../../src/domain/fault.ts';
import { afterFault } from '../../src/scheduler/retry-policy.ts';

const BOUNDS = { baseMs: 1000, capMs: 60_000 };

describe('the retry policy', () => {
  it('retries what is retryable until the attempts that count are used up', () => {
    for (const code of Object.keys(FAULTS) as FaultCode[]) {
      const kind = FAULTS[code];
      const used = afterFault(fault(code), { charged: 3, maxAttempts: 3 }, BOUNDS, () => 0.5);
      const left = afterFault(fault(code), { charged: 1, maxAttempts: 3 }, BOUNDS, () => 0.5);
      if (!kind.retryable) expect([used, left]).toEqual([{ kind: 'final' }, { kind: 'final' }]);
      else if (!kind.charged)
        expect([used, left]).toEqual([
          { kind: 'retry', delayMs: 0 },
          { kind: 'retry', delayMs: 0 },
        ]);
      else expect([used, left]).toEqual([{ kind: 'final' }, { kind: 'retry', delayMs: 500 }]);
    }
  });

  it('pauses with full jitter: anything up to the doubled base, never above the cap', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (charged, chance) => {
          const decision = afterFault(
            fault('NODE_FAILED'),
            { charged, maxAttempts: charged + 1 },
            BOUNDS,
            () => chance,
          );
          const ceiling = Math.min(BOUNDS.capMs, BOUNDS.baseMs * 2 ** (charged - 1));
          expect(decision).toEqual({ kind: 'retry', delayMs: Math.floor(chance * ceiling) });
        },
      ),
    );
  });
});
