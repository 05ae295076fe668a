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
  /** Where it failed: it waits a while for another instance. Null for first attempts and those an instance forgot. */
  readonly avoids: string | null;
  /** It cannot start while the gateway's storage is away. */
  readonly takesFiles: boolean;
}

export function laneOf(job: PendingJob): Lane {
  const { tenant, needsKey, chargedAttempts, crashes, lastInstanceId, fileCount } = job;
  const isRetry = chargedAttempts > 0;
  const isSuspect = crashes > 0;
  const avoids = isRetry || isSuspect ? lastInstanceId : null;
  return { tenant, needsKey, isRetry, isSuspect, avoids, takesFiles: fileCount > 0 };
}

/** Names the lane among those of its tenant. */
export function nameOf({ needsKey, isRetry, isSuspect, avoids, takesFiles }: Lane): string {
  const words = [isRetry ? ' retry' : '', isSuspect ? ' suspect' : '', takesFiles ? ' files' : ''];
  return `${needsKey}${words.join('')}${avoids === null ? '' : ` ${avoids}`}`;
}

/** Names the lane among all. */
export function fullNameOf(lane: Lane): string {
  return `${lane.tenant}\n${nameOf(lane)}`;
}
