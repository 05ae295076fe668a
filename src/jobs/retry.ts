/** Repeats an ended job as a new one: the same graph, inputs and options, with `retryOf` set. Ended stays ended. */
import { needsKey, needsOf } from '../domain/capabilities.ts';
import { fileRefsOf } from '../domain/file-refs.ts';
import { hasEnded } from '../domain/job-states.ts';
import type { LimitsOf } from '../domain/tenant-limits.ts';
import type { Viewer } from '../domain/viewer.ts';
import { assert } from '../lib/assert.ts';
import type { Clock } from '../lib/clock.ts';
import { equippedFleet } from '../store/equipped-fleet.ts';
import { findGraph, findJob } from '../store/jobs.ts';
import type { Store } from '../store/open.ts';
import type { QueueLimit } from './insert-job.ts';
import type { QueueWriter } from './queue-writer.ts';
import type { QueueFull, RetryResult } from './submission.ts';

/** When to come again after a full queue, in ms: a place becomes free whenever any job starts. */
const QUEUE_FULL_RETRY_MS = 5_000;

export function queueFull(limit: QueueLimit): QueueFull {
  return { kind: 'queue-full', limit, retryAfterMs: QUEUE_FULL_RETRY_MS };
}

export interface RetryParts {
  readonly store: Store;
  readonly recorder: { readonly queue: QueueWriter };
  readonly clock: Clock;
  readonly ids: () => string;
  readonly config: { readonly maxQueuedJobs: number };
  readonly limitsOf: LimitsOf;
}

/** `trace`: the traceparent of what asks for it. */
export async function retryJob(
  parts: RetryParts,
  viewer: Viewer,
  jobId: string,
  trace: string | null = null,
): Promise<RetryResult> {
  const { store, recorder, clock, ids, config, limitsOf } = parts;
  const job = await findJob(store.db, viewer, jobId);
  if (!job) return { kind: 'not-found' };
  if (!hasEnded(job.status)) return { kind: 'active', job };
  const graph = await findGraph(store.db, jobId);
  // Deleted since the first look.
  if (!graph) return { kind: 'not-found' };
  const needs = needsOf(graph, await equippedFleet(store));
  const { workflow, inputs, priority, labels, timeoutMs, maxAttempts } = job;
  const queued = await recorder.queue(
    viewer,
    {
      ...{ id: ids(), workflow, inputs, graph, priority, labels, timeoutMs, maxAttempts },
      files: fileRefsOf(graph),
      needs,
      needsKey: needsKey(needs),
      deadlineAt: job.deadlineAt === null ? null : clock.now() + (job.deadlineAt - job.createdAt),
      retryOf: job.id,
      trace,
    },
    undefined,
    { maxQueued: config.maxQueuedJobs, maxQueuedOfTenant: limitsOf(viewer.tenant).maxQueued },
  );
  if (queued.kind === 'queue-full') return queueFull(queued.limit);
  // The job named its files: it was removed since.
  if (queued.kind === 'file-gone') return { kind: 'not-found' };
  assert(queued.kind === 'queued', 'a submission without a key cannot meet another');
  return { kind: 'submitted', job: queued.job, retried: job };
}
