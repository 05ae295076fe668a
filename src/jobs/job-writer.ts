/** The part of the recorder that ends a waiting or running job from outside, and deletes an ended one. */
import { fault } from '../domain/fault.ts';
import type { Job } from '../domain/job.ts';
import { jobStatusesBefore } from '../domain/job-states.ts';
import type { Viewer } from '../domain/viewer.ts';
import type { BlobName } from '../store/blobs.ts';
import { findJob } from '../store/jobs.ts';
import { noteFacts } from '../store/metric-outbox.ts';
import { blockedReasons } from '../store/needs.ts';
import type { Db } from '../store/open.ts';
import { faultToColumns } from '../store/rows.ts';
import type { Scope } from '../store/viewer-scope.ts';
import type { Announcer } from './announce.ts';
import { endedFact } from './facts.ts';
import { changeJob, committed, guarded, type How, type RecorderParts, refuse } from './job-writes.ts';
import { type RemovedJobs, removeJobs } from './remove-jobs.ts';

export type CancelResult =
  | { readonly kind: 'canceled' | 'already'; readonly job: Job }
  | { readonly kind: 'not-found' }
  /** Completed or failed before. */
  | { readonly kind: 'ended'; readonly job: Job };

export type RemoveResult =
  /** `blobs`: what its rows named; some may still be named by others. */
  | { readonly kind: 'removed'; readonly blobs: readonly BlobName[] }
  | { readonly kind: 'not-found' }
  | { readonly kind: 'active'; readonly job: Job };

export interface JobWriter {
  /** CANCELED at once wherever it stood, event canceled; its instance is freed later by whoever hears the hint. */
  cancel(viewer: Viewer, jobId: string): Promise<CancelResult>;
  /**
   * Fails a job whose deadline passed while it waited, event finished; `reason` is what it waited for, else what its class
   * waits for. Null: it waits no longer, or may wait on.
   */
  expire(jobId: string, reason?: string | null): Promise<Job | null>;
  /** Deletes an ended job with all its rows; its files go when nothing else names them (see retention.ts). */
  remove(scope: Scope, jobId: string): Promise<RemoveResult>;
  /** The same of several at once, as far as they have ended and nobody else is at it: how many went. */
  removeSeveral(scope: Scope, jobIds: readonly string[], how: How): Promise<number>;
}

export function createJobWriter(parts: RecorderParts, announcer: Announcer): JobWriter {
  const { store, clock, ids } = parts;
  const removeAll = async (scope: Scope, jobIds: readonly string[], how?: How): Promise<RemovedJobs> => {
    const removed = await committed(parts, 'remove', (tx) => removeJobs(tx, scope, jobIds), how);
    for (const job of removed.jobs) announcer.deleted(job, clock.now());
    return removed;
  };
  return {
    async cancel(viewer, jobId) {
      const now = clock.now();
      const event = { type: 'canceled' } as const;
      const result = await committed(parts, 'cancel', (tx) => cancel(tx, viewer, jobId, now, ids));
      if (result.kind === 'canceled') {
        announcer.announce({
          job: result.job,
          event,
          queueChanged: true,
          hint: 'cancel-asked',
          runOver: true,
        });
      }
      return result;
    },
    async expire(jobId, reason) {
      const now = clock.now();
      const job = await guarded(parts, 'expire', (tx) => expire(tx, jobId, reason ?? null, now, ids));
      const event = { type: 'finished', status: 'FAILED' } as const;
      if (job) announcer.announce({ job, event, queueChanged: true, runOver: true });
      return job;
    },
    async remove(scope, jobId) {
      const { jobs, blobs } = await removeAll(scope, [jobId]);
      if (jobs.length > 0) return { kind: 'removed', blobs };
      const job = await findJob(store.db, scope, jobId);
      return job ? { kind: 'active', job } : { kind: 'not-found' };
    },
    async removeSeveral(scope, jobIds, how) {
      if (jobIds.length === 0) return 0;
      const { jobs } = await removeAll(scope, jobIds, how);
      return jobs.length;
    },
  };
}

/** The open attempt stays open: its instance is busy until the leader has freed it. */
async function cancel(
  tx: Db,
  viewer: Viewer,
  jobId: string,
  now: number,
  ids: () => string,
): Promise<CancelResult> {
  const canceled = await changeJob(tx, {
    jobId,
    tenant: viewer.tenant,
    from: jobStatusesBefore('CANCELED'),
    set: { status: 'CANCELED', finished_at: now },
    event: { type: 'canceled' },
    now,
  });
  if (canceled) {
    await noteFacts(tx, ids, [endedFact(canceled)]);
    return { kind: 'canceled', job: canceled };
  }
  const job = await findJob(tx, viewer, jobId);
  if (!job) return { kind: 'not-found' };
  return { kind: job.status === 'CANCELED' ? 'already' : 'ended', job };
}

/** Says what it waited for last, so that its owner need not guess. */
async function expire(
  tx: Db,
  jobId: string,
  known: string | null,
  now: number,
  ids: () => string,
): Promise<Job> {
  const waiting = await findJob(tx, 'any', jobId);
  if (!waiting || waiting.deadlineAt === null || waiting.deadlineAt > now) refuse();
  const reason = known ?? (await blockedReasons(tx, [waiting.needsKey])).get(waiting.needsKey);
  const general = fault('DEADLINE_EXCEEDED');
  const detail = reason === undefined ? null : `${general.message}: ${reason}`;
  const job = await changeJob(tx, {
    jobId,
    from: ['PENDING'],
    set: {
      status: 'FAILED',
      finished_at: now,
      ...faultToColumns(fault('DEADLINE_EXCEEDED', detail)),
    },
    event: { type: 'finished', status: 'FAILED' },
    now,
  });
  if (!job) refuse();
  await noteFacts(tx, ids, [endedFact(job)]);
  return job;
}
