/** The part of the recorder that takes a new job in: the job, its graph, files and labels, its key, in one transaction. */
import type { Needs } from '../domain/capabilities.ts';
import type { Graph } from '../domain/graph.ts';
import type { Job } from '../domain/job.ts';
import type { Viewer } from '../domain/viewer.ts';
import type { JsonObject } from '../lib/json.ts';
import { claimBlob } from '../store/blobs.ts';
import { claimKey } from '../store/idempotency.ts';
import { findJob } from '../store/jobs.ts';
import { labelKeys } from '../store/label-keys.ts';
import { noteFacts } from '../store/metric-outbox.ts';
import { saveNeeds } from '../store/needs.ts';
import type { Db } from '../store/open.ts';
import { faultToColumns, jobFromRow } from '../store/rows.ts';
import type { JobGraphsTable, JobsTable } from '../store/schema.ts';
import { statement } from '../store/statement.ts';
import type { Announcer } from './announce.ts';
import { submittedFact } from './facts.ts';
import { insertJob, type QueueLimit, type QueueLimits } from './insert-job.ts';
import { committed, insertEvent, type RecorderParts } from './job-writes.ts';

export interface NewJob {
  readonly id: string;
  readonly workflow: string;
  readonly inputs: JsonObject;
  readonly graph: Graph;
  /** Stored files that the graph takes, each named by some row: kept as long as the job is. */
  readonly files: readonly { readonly sha256: string }[];
  readonly needs: Needs;
  readonly needsKey: string;
  readonly priority: number;
  readonly labels: JsonObject;
  readonly timeoutMs: number;
  /** Epoch ms; null for none. */
  readonly deadlineAt: number | null;
  readonly maxAttempts: number;
  readonly retryOf: string | null;
  /** W3C traceparent of the request that submits it. */
  readonly trace?: string | null | undefined;
}

export interface IdempotencyRequest {
  readonly key: string;
  readonly bodyHash: string;
}

export type QueueResult =
  | { readonly kind: 'queued' | 'existing'; readonly job: Job }
  /** The key was used with another body, or its job was deleted since (null). */
  | { readonly kind: 'conflict'; readonly job: Job | null }
  | { readonly kind: 'queue-full'; readonly limit: QueueLimit }
  /** No row names the file any more: its last one was removed since it was looked up. */
  | { readonly kind: 'file-gone'; readonly sha256: string };

/** Thrown to undo a transaction whose job did not fit. */
class QueueFull extends Error {
  readonly limit: QueueLimit;

  constructor(limit: QueueLimit) {
    super('as many jobs wait as may');
    this.limit = limit;
  }
}

/** The same for a job whose file went. */
class FileGone extends Error {
  readonly sha256: string;

  constructor(sha256: string) {
    super('no row names the file any more');
    this.sha256 = sha256;
  }
}

export type QueueWriter = (
  viewer: Viewer,
  job: NewJob,
  idempotency?: IdempotencyRequest,
  limits?: QueueLimits,
) => Promise<QueueResult>;

export function createQueueWriter(parts: RecorderParts, announcer: Announcer): QueueWriter {
  return async (viewer, job, idempotency, limits) => {
    const row = newRow(viewer, job, parts.clock.now());
    try {
      const result = await committed(parts, 'queue', (tx) =>
        insert(tx, parts.ids, { viewer, job, row, idempotency, limits }),
      );
      if (result.kind === 'queued') {
        const event = { type: 'queued' } as const;
        announcer.announce({ job: result.job, event, queueChanged: true, hint: 'job-queued' });
        parts.crashAt?.('queue:announced');
      }
      return result;
    } catch (error) {
      if (error instanceof QueueFull) return { kind: 'queue-full', limit: error.limit };
      if (error instanceof FileGone) return { kind: 'file-gone', sha256: error.sha256 };
      throw error;
    }
  };
}

interface Arrival {
  readonly viewer: Viewer;
  readonly job: NewJob;
  readonly row: JobsTable;
  readonly idempotency: IdempotencyRequest | undefined;
  readonly limits: QueueLimits | undefined;
}

async function insert(tx: Db, ids: () => string, arrival: Arrival): Promise<QueueResult> {
  const { viewer, job, row, idempotency, limits } = arrival;
  if (idempotency) {
    const { tenant, created_at: now } = row;
    const claim = await claimKey(tx, { ...idempotency, tenant, jobId: job.id, now });
    if (!claim.claimed) {
      const existing = await findJob(tx, viewer, claim.jobId);
      return existing && claim.bodyHash === idempotency.bodyHash
        ? { kind: 'existing', job: existing }
        : { kind: 'conflict', job: existing };
    }
  }
  const files = [...new Set(job.files.map((file) => file.sha256))].sort();
  await claimFiles(tx, row.tenant, files);
  const reached = await insertJob(tx, row, limits);
  if (reached) throw new QueueFull(reached);
  await insertParts(tx, job, row, files);
  await insertEvent(tx, row, { type: 'queued' }, row.created_at);
  const queued = jobFromRow(row);
  await noteFacts(tx, ids, [submittedFact(queued)]);
  return { kind: 'queued', job: queued };
}

/**
 * They were found long ago, perhaps before minutes of another picture's upload. In one order, since whoever removes several
 * rows may wait for these.
 */
async function claimFiles(tx: Db, tenant: string, files: readonly string[]): Promise<void> {
  for (const sha256 of files) if (!(await claimBlob(tx, { tenant, sha256 }))) throw new FileGone(sha256);
}

const insertGraph = statement((q, row: JobGraphsTable) => q.insertInto('job_graphs').values(row));

async function insertParts(tx: Db, job: NewJob, row: JobsTable, files: readonly string[]): Promise<void> {
  const { id: job_id, tenant } = row;
  await insertGraph(tx, { job_id, graph: JSON.stringify(job.graph) });
  await saveNeeds(tx, job.needsKey, job.needs);
  if (files.length > 0) {
    await tx
      .insertInto('job_files')
      .values(files.map((sha256) => ({ job_id, tenant, sha256 })))
      .execute();
  }
  const labels = labelKeys(job.labels);
  if (labels.length > 0) {
    await tx
      .insertInto('job_labels')
      .values(labels.map((label) => ({ job_id, tenant, ...label })))
      .execute();
  }
}

function newRow(viewer: Viewer, job: NewJob, now: number): JobsTable {
  return {
    id: job.id,
    tenant: viewer.tenant,
    user_id: viewer.user,
    status: 'PENDING',
    workflow: job.workflow,
    inputs: JSON.stringify(job.inputs),
    priority: job.priority,
    labels: JSON.stringify(job.labels),
    needs_key: job.needsKey,
    timeout_ms: job.timeoutMs,
    deadline_at: job.deadlineAt,
    max_attempts: job.maxAttempts,
    attempt_count: 0,
    charged_attempts: 0,
    crashes: 0,
    not_before: now,
    retry_of: job.retryOf,
    instance_id: null,
    seq: 1,
    created_at: now,
    updated_at: now,
    started_at: null,
    finished_at: null,
    run_ms: null,
    trace: job.trace ?? null,
    ...faultToColumns(null),
  };
}
