import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FAULTS, type FaultCode, fault, takesDown } from '../../../src/domain/fault.ts';
import {
  type AttemptsSoFar,
  afterFault,
  type RetryDecision,
} from '../../../src/scheduler/runs/retry-policy.ts';

const BOUNDS = { baseMs: 1000, capMs: 60_000 };
const CODES = Object.keys(FAULTS) as FaultCode[];

function decide(code: FaultCode, attempts: Partial<AttemptsSoFar> = {}, maxCrashes = 2): RetryDecision {
  const all = { charged: 1, maxAttempts: 3, crashes: 0, earlier: 0, ...attempts };
  return afterFault(fault(code), all, { bounds: BOUNDS, maxCrashes }, () => 0.5);
}

describe('the retry policy', () => {
  it('retries what is retryable until the attempts that count are used up', () => {
    for (const code of CODES) {
      const { retryable, charged } = FAULTS[code];
      const used = decide(code, { charged: 3 });
      const left = decide(code);
      if (!retryable) expect([used, left]).toEqual([{ kind: 'final' }, { kind: 'final' }]);
      else if (!charged)
        expect([used, left]).toEqual([
          { kind: 'retry', delayMs: 0 },
          { kind: 'retry', delayMs: 0 },
        ]);
      else expect([used, left]).toEqual([{ kind: 'final' }, { kind: 'retry', delayMs: 500 }]);
    }
  });

  it('stops a job that takes down its second instance, and only such a job (F41)', () => {
    for (const code of CODES) {
      const second = decide(code, { crashes: 1 });
      if (takesDown(code))
        expect(second).toMatchObject({ kind: 'final', verdict: { code: 'POISON', retryable: false } });
      else expect(second).toEqual(decide(code));
    }
    expect(decide('INSTANCE_CRASHED', { crashes: 1 }, 3)).toEqual({ kind: 'retry', delayMs: 0 });
    expect(decide('GPU_FAULT', {}, 1)).toMatchObject({ kind: 'final', verdict: { code: 'POISON' } });
  });

  it('gives a job that ran out of memory one more try, whatever attempts are left (F17)', () => {
    expect(decide('OUT_OF_MEMORY', { maxAttempts: 10 })).toEqual({ kind: 'retry', delayMs: 500 });
    expect(decide('OUT_OF_MEMORY', { maxAttempts: 10, earlier: 1 })).toEqual({ kind: 'final' });
    expect(decide('OUT_OF_MEMORY', { maxAttempts: 1 })).toEqual({ kind: 'final' });
    expect(decide('NODE_FAILED', { maxAttempts: 10, earlier: 1 })).toEqual({
      kind: 'retry',
      delayMs: 500,
    });
  });

  it('lets a job wait for storage without an end, until it is its file that cannot be read', () => {
    const used = { charged: 3, maxAttempts: 3 };
    expect(decide('STORAGE_UNAVAILABLE', used)).toEqual({ kind: 'retry', delayMs: 0 });
    expect(decide('STORAGE_UNAVAILABLE', { ...used, earlier: 2 })).toEqual({ kind: 'retry', delayMs: 1000 });
    expect(decide('STORAGE_UNAVAILABLE', { ...used, earlier: 28 })).toMatchObject({ kind: 'retry' });
    expect(decide('STORAGE_UNAVAILABLE', { ...used, earlier: 29 })).toEqual({ kind: 'final' });
  });

  it('pauses with full jitter: anything up to the doubled base, never above the cap', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (charged, chance) => {
          const attempts = { charged, maxAttempts: charged + 1, crashes: 0, earlier: 0 };
          const limits = { bounds: BOUNDS, maxCrashes: 2 };
          const decision = afterFault(fault('NODE_FAILED'), attempts, limits, () => chance);
          const ceiling = Math.min(BOUNDS.capMs, BOUNDS.baseMs * 2 ** (charged - 1));
          expect(decision).toEqual({ kind: 'retry', delayMs: Math.floor(chance * ceiling) });
        },
      ),
    );
  });
});
