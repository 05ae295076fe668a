/** What follows a failed attempt: another try after a pause, or the end of the job. Pure. */
import { FAULTS, type Fault } from '../domain/fault.ts';
import { type BackoffBounds, fullJitter } from '../lib/backoff.ts';

export interface AttemptsSoFar {
  /** Attempts that count against the limit, the failed one included. */
  readonly charged: number;
  readonly maxAttempts: number;
}

export type RetryDecision = { readonly kind: 'final' } | { readonly kind: 'retry'; readonly delayMs: number };

/** `random` answers numbers in [0, 1). A fault that is not charged goes straight back, however often it happened. */
export function afterFault(
  fault: Fault,
  attempts: AttemptsSoFar,
  bounds: BackoffBounds,
  random: () => number,
): RetryDecision {
  if (!FAULTS[fault.code].charged && fault.retryable) return { kind: 'retry', delayMs: 0 };
  if (!fault.retryable || attempts.charged >= attempts.maxAttempts) return { kind: 'final' };
  return { kind: 'retry', delayMs: fullJitter(Math.max(1, attempts.charged), bounds, random) };
}
