/**
 * How jobs come to count higher while they wait, so that nothing starves, pure. A job counts as one priority higher for each
 * ageing time, up to the highest. A job that goes while it counts so leaves its stream (tenant and priority) one level
 * younger: else a long queue would age as a whole, and jobs of other tenants that come later would wait for all of it.
 */
import type { PendingJob } from '../../store/jobs.ts';

export interface Ageing {
  /** Epoch ms. */
  readonly now: number;
  /** A waiting job counts as one priority higher for each such time it has waited, in ms. */
  readonly ageingMs: number;
}

/** However long a job has waited. */
export const HIGHEST_PRIORITY = 10;

/** The priority that the job counts as by now. Its age counts from `agedFrom` (epoch ms) at the earliest. */
export function effectivePriority(job: PendingJob, agedFrom: number, { now, ageingMs }: Ageing): number {
  const waited = Math.max(0, now - Math.max(job.createdAt, agedFrom));
  return Math.min(HIGHEST_PRIORITY, job.priority + Math.floor(waited / ageingMs));
}

/** From when the age of the jobs behind it counts, once this one has gone. */
export function agedFromAfter(job: PendingJob, agedFrom: number, ageing: Ageing): number {
  if (effectivePriority(job, agedFrom, ageing) === job.priority) return agedFrom;
  // what is above the highest is worth nothing
  const atMost = ageing.now - (HIGHEST_PRIORITY - job.priority) * ageing.ageingMs;
  return Math.max(job.createdAt, agedFrom, atMost) + ageing.ageingMs;
}

/** An age that counts from here is as good as none. */
export function isLongAgo(agedFrom: number, { now, ageingMs }: Ageing): boolean {
  return now - agedFrom >= (HIGHEST_PRIORITY - 1) * ageingMs;
}
