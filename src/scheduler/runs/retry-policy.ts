/** What follows a failed or lost attempt: another try, at once or after a pause, or the end of the job. Pure. */
import { FAULTS, type Fault, type FaultCode, fault, takesDown } from '../../domain/fault.ts';
import { type BackoffBounds, fullJitter } from '../../lib/backoff.ts';

export interface AttemptsSoFar {
  /** Attempts that count against the limit, the failed one included. */
  readonly charged: number;
  readonly maxAttempts: number;
  /** Earlier attempts whose instance went down with them. */
  readonly crashes: number;
  /** Earlier attempts that ended with the same code, of those that are COUNTED. */
  readonly earlier: number;
}

export interface RetryLimits {
  readonly bounds: BackoffBounds;
  /** Instances that a job may take down. */
  readonly maxCrashes: number;
}

export type RetryDecision =
  /** `verdict`: what the job is told, where that is not the attempt's own fault. */
  { readonly kind: 'final'; readonly verdict?: Fault } | { readonly kind: 'retry'; readonly delayMs: number };

/** One more try, after the instance was told to free its memory; the same end elsewhere is the job's own. */
const MOST_OUT_OF_MEMORY = 2;
/** While storage is away jobs wait for it, so each of these attempts found it there again: it is this file that cannot be read. */
const MOST_STORAGE_UNAVAILABLE = 30;

/** Codes of which the earlier ones of the job count. */
export const COUNTED: ReadonlySet<FaultCode> = new Set(['OUT_OF_MEMORY', 'STORAGE_UNAVAILABLE']);

/** `random` answers numbers in [0, 1). A fault of an instance that is not charged goes straight back, however often it happened. */
export function afterFault(
  failure: Fault,
  attempts: AttemptsSoFar,
  { bounds, maxCrashes }: RetryLimits,
  random: () => number,
): RetryDecision {
  const { code, retryable } = failure;
  if (takesDown(code) && attempts.crashes + 1 >= maxCrashes) {
    return { kind: 'final', verdict: fault('POISON') };
  }
  if (code === 'OUT_OF_MEMORY' && attempts.earlier + 1 >= MOST_OUT_OF_MEMORY) return { kind: 'final' };
  if (code === 'STORAGE_UNAVAILABLE' && attempts.earlier > 0) {
    if (attempts.earlier + 1 >= MOST_STORAGE_UNAVAILABLE) return { kind: 'final' };
    return { kind: 'retry', delayMs: fullJitter(attempts.earlier, bounds, random) };
  }
  if (!FAULTS[code].charged && retryable) return { kind: 'retry', delayMs: 0 };
  if (!retryable || attempts.charged >= attempts.maxAttempts) return { kind: 'final' };
  return { kind: 'retry', delayMs: fullJitter(Math.max(1, attempts.charged), bounds, random) };
}
