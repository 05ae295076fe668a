/** The part of the recorder that takes a new job in: the job, its graph, files and labels, its key, in one transaction. */

import { type Expression, type SqlBool, sql } from 'kysely';
import type { Needs } from '../domain/capabilities.ts';
import type { Graph } from '../domain/graph.ts';
import type { Job } from '../domain/job.ts';
import type { Viewer } from '../domain/viewer.ts';
import type { JsonObject } from '../lib/json.ts';
import { claimBlob } from '../store/blobs.ts';
import { keyShared, lockKey } from '../store/engine-sql.ts';
import { claimKey } from '../store/idempotency.ts';
import { findJob } from '../store/jobs.ts';
import { labelKeys } from '../store/label-keys.ts';
import { saveNeeds } from '../store/needs.ts';
import type { Db } from '../store/open.ts';
import { faultToColumns, jobFromRow } from '../store/rows.ts';
import type { JobGraphsTable, JobsTable } from '../store/schema.ts';
import { statement } from '../store/statement.ts';
import type { Announcer } from './announce.ts';
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
}

export interface IdempotencyRequest {
  readonly key: string;
  readonly bodyHash: string;
}

export interface QueueLimits {
  /** Most jobs that may wait at once, of all tenants; null for no limit. */
  readonly maxQueued: number | null;
}

export type QueueResult =
  | { readonly kind: 'queued' | 'existing'; readonly job: Job }
  /** The key was used with another body, or its job was deleted since (null). */
  | { readonly kind: 'conflict'; readonly job: Job | null }
  | { readonly kind: 'queue-full' }
  /** No row names the file any more: its last one was removed since it was looked up. */
  | { readonly kind: 'file-gone'; readonly sha256: string };

/** Thrown to undo a transaction whose job did not fit. */
class QueueFull extends Error {}

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
        insert(tx, viewer, job, row, idempotency, limits),
      );
      if (result.kind === 'queued') {
        const event = { type: 'queued' } as const;
        announcer.announce({ job: result.job, event, queueChanged: true, hint: 'job-queued' });
        parts.crashAt?.('queue:announced');
      }
      return result;
    } catch (error) {
      if (error instanceof QueueFull) return { kind: 'queue-full' };
      if (error instanceof FileGone) return { kind: 'file-gone', sha256: error.sha256 };
      throw error;
    }
  };
}

async function insert(
  tx: Db,
  viewer: Viewer,
  job: NewJob,
  row: JobsTable,
  idempotency: IdempotencyRequest | undefined,
  limits: QueueLimits | undefined,
): Promise<QueueResult> {
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
  if (!(await insertJob(tx, row, limits?.maxQueued ?? null))) throw new QueueFull();
  await insertParts(tx, job, row, files);
  await insertEvent(tx, row, { type: 'queued' }, row.created_at);
  return { kind: 'queued', job: jobFromRow(row) };
}

/**
 * They were found long ago, perhaps before minutes of another picture's upload. In one order, since whoever removes several
 * rows may wait for these.
 */
async function claimFiles(tx: Db, tenant: string, files: readonly string[]): Promise<void> {
  for (const sha256 of files) if (!(await claimBlob(tx, { tenant, sha256 }))) throw new FileGone(sha256);
}

/** More than there are transactions at once: what those insert that a count did not see yet. */
const UNSEEN = 1000;
const LIMIT_KEY = 'queue-limit';

/**
 * False when as many wait already. Where several processes insert at once, a count does not see what others have not
 * committed: far from the limit that is of no account, near it they go one by one. Those far from it hold the key
 * together, so that whoever goes alone has waited for their end and counts them.
 */
async function insertJob(tx: Db, row: JobsTable, maxQueued: number | null): Promise<boolean> {
  const unbound = { ...row, limit: undefined, farLimit: undefined };
  if (maxQueued === null) return isInserted(await insertWithin(tx, unbound));
  const far = { ...unbound, farLimit: maxQueued - UNSEEN };
  if (maxQueued > UNSEEN && isInserted(await insertWithin(tx, far))) return true;
  await lockKey(tx, LIMIT_KEY);
  return isInserted(await insertWithin(tx, { ...unbound, limit: maxQueued }));
}

const isInserted = ({ numAffectedRows = 0n }: { readonly numAffectedRows?: bigint }): boolean =>
  numAffectedRows > 0n;

type Insertion = JobsTable & { readonly limit: number | undefined; readonly farLimit: number | undefined };

/** One statement counts and inserts. */
const insertWithin = statement((q, { limit, farLimit, ...row }: Insertion) => {
  const names = Object.keys(row) as (keyof JobsTable)[];
  let room = TRUE;
  if (limit !== undefined) room = roomWithin(limit, TRUE);
  if (farLimit !== undefined) room = roomWithin(farLimit, keyShared(q, LIMIT_KEY));
  return q
    .insertInto('jobs')
    .columns(names)
    .expression(q.selectNoFrom((eb) => names.map((name) => eb.val(row[name]).as(name))).where(room));
});

const TRUE: Expression<SqlBool> = sql<SqlBool>`1 = 1`;

/** The key is only asked for where there is room: whoever got it inserts, and nobody has it who still waits for the lock. */
function roomWithin(limit: number, keyIsShared: Expression<SqlBool>): Expression<SqlBool> {
  return sql<SqlBool>`case when (select count(*) from jobs where status = 'PENDING') < ${limit}
    then ${keyIsShared} else 1 = 0 end`;
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
    ...faultToColumns(null),
  };
}
