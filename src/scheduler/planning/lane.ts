/**
 * Waiting jobs that can be held back for the same reason and are served first in, first out: of one tenant, priority and
 * workflow, with the same needs, and alike in what their earlier attempts ask for. What holds up one lane never holds up
 * another.
 */
import type { PendingJob } from '../../store/jobs.ts';
import type { Work } from './estimates.ts';

export interface Lane extends Work {
  readonly tenant: string;
  /** As submitted: of such a lane the first job has always waited longest, and counts highest. */
  readonly priority: number;
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
  const { tenant, priority, workflow, needsKey, chargedAttempts, crashes, lastInstanceId, fileCount } = job;
  const isRetry = chargedAttempts > 0;
  const isSuspect = crashes > 0;
  const avoids = isRetry || isSuspect ? lastInstanceId : null;
  return { tenant, priority, workflow, needsKey, isRetry, isSuspect, avoids, takesFiles: fileCount > 0 };
}

/** Names the job's lane among those of its tenant and priority. */
export function laneNameOf(job: PendingJob): string {
  const { needsKey, workflow, isRetry, isSuspect, avoids, takesFiles } = laneOf(job);
  const words = [isRetry ? ' retry' : '', isSuspect ? ' suspect' : '', takesFiles ? ' files' : ''];
  return `${needsKey}${words.join('')}\n${workflow}\n${avoids ?? ''}`;
}
