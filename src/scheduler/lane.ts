/**
 * Waiting jobs that can be held back for the same reason: of one tenant, with the same needs, and alike in what their
 * earlier attempts ask for. What holds up one lane never holds up another.
 */
import type { PendingJob } from '../store/jobs.ts';

export interface Lane {
  readonly tenant: string;
  readonly needsKey: string;
  /** An attempt failed and was charged: the next one needs a place in the retry budget. */
  readonly isRetry: boolean;
  /** An instance went down with it: it runs on an instance with no other prompt. */
  readonly isSuspect: boolean;
}

export function laneOf(job: PendingJob): Lane {
  const { tenant, needsKey, chargedAttempts, crashes } = job;
  return { tenant, needsKey, isRetry: chargedAttempts > 0, isSuspect: crashes > 0 };
}

/** Names the lane among those of its tenant. */
export function nameOf({ needsKey, isRetry, isSuspect }: Lane): string {
  return `${needsKey}${isRetry ? ' retry' : ''}${isSuspect ? ' suspect' : ''}`;
}

/** Names the lane among all. */
export function fullNameOf(lane: Lane): string {
  return `${lane.tenant}\n${nameOf(lane)}`;
}
