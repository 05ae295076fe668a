/** What the history checker looks at: the rows of the store, what the instances noted themselves, what clients saw. */
import type { JobStatus } from '../../../src/domain/job.ts';
import type { DurableEvent } from '../../../src/domain/job-event.ts';
import { ENDED_JOB_STATUSES } from '../../../src/domain/job-states.ts';
import type { ExecutionRecord, PromptRecord } from '../../../src/simulator/run-log.ts';
import { grouped } from '../../../src/store/grouped.ts';
import type { Db } from '../../../src/store/open.ts';
import type { AttemptsTable, JobEventsTable, JobsTable, OutputsTable } from '../../../src/store/schema.ts';

/** What an instance noted of itself: `control.prompts()` and `control.executions()`, or the same over HTTP. */
export interface InstanceLog {
  /** As the gateway calls it; when given, each prompt must have reached the instance its attempt names. */
  readonly name?: string;
  readonly prompts: readonly PromptRecord[];
  readonly executions: readonly ExecutionRecord[];
}

/** An event of a job as a subscriber received it. */
export interface SeenEvent {
  /** The job's bare id, as in the store. */
  readonly jobId: string;
  /** Number behind its cursor. */
  readonly seq: number;
  /** The event's type in the schema (`JobFinished`), or as the store names it (`finished`). */
  readonly type: string;
  /** Of the job, where the subscriber asked for it. */
  readonly status?: JobStatus;
}

/** All that one client saw of its jobs, over its reconnections, in order. */
export interface SubscriberLog {
  readonly name: string;
  readonly events: readonly SeenEvent[];
  /** It stayed to the end: each job that ended ended for it too. Default true. */
  readonly stayed?: boolean;
}

/** Something that must stay below a bound (I8). */
export interface Bound {
  readonly what: string;
  readonly measured: number;
  readonly bound: number;
}

export interface Evidence {
  readonly instances?: readonly InstanceLog[];
  /** Jobs whose submit was answered with success. */
  readonly acknowledged?: readonly string[];
  /** Jobs that were deleted since: their rows are gone, their prompts are not. */
  readonly deleted?: readonly string[];
  readonly subscribers?: readonly SubscriberLog[];
  readonly bounds?: readonly Bound[];
  /** JOB_MAX_CRASHES as it was set. Default 2. */
  readonly maxCrashes?: number;
  /** Nothing is under way any more: every job has ended and every slot is free. Default true. */
  readonly calm?: boolean;
}

type EventRow = JobEventsTable & { readonly event: DurableEvent };

/** A job with all that belongs to it. */
export interface JobHistory {
  readonly job: JobsTable;
  readonly attempts: readonly AttemptsTable[];
  readonly events: readonly EventRow[];
  readonly outputs: readonly OutputsTable[];
}

/** Rows that name a tenant and a job. */
export interface TenantRow {
  readonly table: string;
  readonly job_id: string;
  readonly tenant: string;
}

/** Everything, read once, so that the rules are pure. */
export interface History extends Evidence {
  readonly jobs: readonly JobHistory[];
  /** Attempts whose job is gone. */
  readonly strays: readonly AttemptsTable[];
  readonly tenantRows: readonly TenantRow[];
}

export interface Violation {
  /** I1 to I8. */
  readonly invariant: string;
  readonly jobId: string | null;
  readonly evidence: string;
}

export type Rule = (history: History) => Violation[];

/** Of any text, as rows may hold anything. */
export function isEnded(status: JobStatus): boolean {
  return (ENDED_JOB_STATUSES as readonly JobStatus[]).includes(status);
}

export async function readHistory(db: Db, evidence: Evidence): Promise<History> {
  const jobs = await db.selectFrom('jobs').selectAll().orderBy('created_at').orderBy('id').execute();
  const attempts = await db.selectFrom('attempts').selectAll().orderBy('job_id').orderBy('number').execute();
  const events = await db.selectFrom('job_events').selectAll().orderBy('job_id').orderBy('seq').execute();
  const outputs = await db.selectFrom('outputs').selectAll().orderBy('job_id').orderBy('id').execute();
  const known = new Set(jobs.map(({ id }) => id));
  const byJob = {
    attempts: grouped(attempts, (row) => row.job_id),
    events: grouped(
      events.map((row) => ({ ...row, event: { type: row.type, ...JSON.parse(row.data) } as DurableEvent })),
      (row) => row.job_id,
    ),
    outputs: grouped(outputs, (row) => row.job_id),
  };
  return {
    ...evidence,
    jobs: jobs.map((job) => ({
      job,
      attempts: byJob.attempts.get(job.id) ?? [],
      events: byJob.events.get(job.id) ?? [],
      outputs: byJob.outputs.get(job.id) ?? [],
    })),
    strays: attempts.filter((attempt) => !known.has(attempt.job_id)),
    tenantRows: [
      ...attempts.map(({ job_id, tenant }) => ({ table: 'attempts', job_id, tenant })),
      ...events.map(({ job_id, tenant }) => ({ table: 'job_events', job_id, tenant })),
      ...outputs.map(({ job_id, tenant }) => ({ table: 'outputs', job_id, tenant })),
      ...(await tenantRowsOf(db, 'job_files')),
      ...(await tenantRowsOf(db, 'job_labels')),
      ...(await tenantRowsOf(db, 'idempotency_keys')),
    ],
  };
}

async function tenantRowsOf(
  db: Db,
  table: 'job_files' | 'job_labels' | 'idempotency_keys',
): Promise<TenantRow[]> {
  const rows = await db.selectFrom(table).select(['job_id', 'tenant']).execute();
  return rows.map((row) => ({ table, ...row }));
}
