/** What follows a failed or lost attempt: another try, at once or after a pause, or the end of the job. Pure. */
import { FAULTS, type Fault, fault, takesDown } from '../domain/fault.ts';
import { type BackoffBounds, fullJitter } from '../lib/backoff.ts';

export interface AttemptsSoFar {
  /** Attempts that count against the limit, the failed one included. */
  readonly charged: number;
  readonly maxAttempts: number;
  /** Earlier attempts whose instance went down with them. */
  readonly crashes: number;
  /** Earlier attempts that ran out of memory. */
  readonly outOfMemory: number;
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

/** `random` answers numbers in [0, 1). A fault that is not charged goes straight back, however often it happened. */
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
  if (code === 'OUT_OF_MEMORY' && attempts.outOfMemory + 1 >= MOST_OUT_OF_MEMORY) return { kind: 'final' };
  if (!FAULTS[code].charged && retryable) return { kind: 'retry', delayMs: 0 };
  if (!retryable || attempts.charged >= attempts.maxAttempts) return { kind: 'final' };
  return { kind: 'retry', delayMs: fullJitter(Math.max(1, attempts.charged), bounds, random) };
}
