/**
 * The two steps every change of a job consists of: a guarded UPDATE that also takes the next seq, and the row of the
 * durable event under that seq. Shared by the parts of the recorder; nobody else writes jobs, attempts or outputs.
 */
import { type CrashHook, type CrashWrite, neverCrash } from '../domain/crash-points.ts';
import type { Job, JobStatus } from '../domain/job.ts';
import type { DurableEvent } from '../domain/job-event.ts';
import type { EventBus } from '../events/bus.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { Db, Store } from '../store/open.ts';
import { storeTrouble } from '../store/retryable.ts';
import { eventToRow, jobFromRow } from '../store/rows.ts';
import type { JobEventsTable, JobsTable } from '../store/schema.ts';
import { statement } from '../store/statement.ts';

export interface RecorderParts {
  readonly store: Store;
  readonly bus: EventBus;
  readonly clock: Clock;
  /** Makes the ids of outputs, and of what is noted for the figures. */
  readonly ids: () => string;
  readonly logger: Logger;
  readonly crashAt?: CrashHook | undefined;
}

/** Undoes the transaction it is thrown in; `guarded` turns it into null. Never leaves the recorder. */
class Refusal extends Error {}

/** Ends a guarded transaction without effect: a guard found that the world has moved on. */
export function refuse(): never {
  throw new Refusal('refused');
}

export type CommitParts = Pick<RecorderParts, 'store' | 'bus' | 'crashAt'>;
/** See Store. */
export type How = 'transaction' | 'relaxed' | 'relaxedAlone';

/**
 * What `work` answers once committed; undone when it rejects. Where the answer to the commit was lost it may stand all the
 * same, and nobody would be told: then everybody who listens looks at the rows.
 */
export async function committed<T>(
  { store, bus, crashAt = neverCrash }: CommitParts,
  write: CrashWrite,
  work: (tx: Db) => Promise<T>,
  how: How = 'transaction',
): Promise<T> {
  let asked = false;
  const done = await store[how](async (tx) => {
    const answer = await work(tx);
    crashAt(`${write}:before-commit`);
    asked = true;
    return answer;
  }).catch((error: unknown) => {
    if (asked && storeTrouble(error) === 'unavailable') bus.missed();
    throw error;
  });
  crashAt(`${write}:after-commit`);
  return done;
}

/** The same, or null when `work` refused and everything was undone. */
export async function guarded<T>(
  parts: CommitParts,
  write: CrashWrite,
  work: (tx: Db) => Promise<T>,
  how: How = 'transaction',
): Promise<T | null> {
  try {
    return await committed(parts, write, work, how);
  } catch (error) {
    if (error instanceof Refusal) return null;
    throw error;
  }
}

export interface JobChanges {
  readonly jobId: string;
  /** Statuses it may come from. */
  readonly from: readonly JobStatus[];
  readonly set: Partial<
    Omit<JobsTable, 'id' | 'tenant' | 'seq' | 'attempt_count' | 'charged_attempts' | 'crashes' | 'started_at'>
  >;
  /** Added to the number of attempts made, charged, and ended with their instance; the first also sets when the job started. */
  readonly attempts?: { readonly made: number; readonly charged: number; readonly crashes?: 1 | undefined };
  /** Only a job of this tenant; absent for the gateway's own work. */
  readonly tenant?: string | undefined;
  readonly event: DurableEvent;
  readonly now: number;
}

type JobUpdate = JobChanges['set'] &
  Pick<JobChanges, 'jobId' | 'from' | 'now'> & {
    readonly made: number | undefined;
    readonly charged: number | undefined;
    readonly crashes: number | undefined;
    readonly ofTenant: string | undefined;
  };

const updateJob = statement(
  (q, { jobId, from, now, made, charged, crashes, ofTenant, ...set }: JobUpdate) => {
    const update = q
      .updateTable('jobs')
      .set((eb) => ({
        ...set,
        ...(made !== undefined && {
          attempt_count: eb('attempt_count', '+', made),
          started_at: eb.fn.coalesce('started_at', eb.val(now)),
        }),
        ...(charged !== undefined && { charged_attempts: eb('charged_attempts', '+', charged) }),
        ...(crashes !== undefined && { crashes: eb('crashes', '+', crashes) }),
        seq: eb('seq', '+', 1),
        updated_at: now,
      }))
      .where('id', '=', jobId)
      .where('status', 'in', from);
    return (ofTenant === undefined ? update : update.where('tenant', '=', ofTenant)).returningAll();
  },
);

const insertEventRow = statement((q, row: JobEventsTable) => q.insertInto('job_events').values(row));

/** Changes the job and writes the event; null, with nothing written, when the job is gone or in another status. */
export async function changeJob(tx: Db, changes: JobChanges): Promise<Job | null> {
  const { jobId, from, set, attempts, tenant, event, now } = changes;
  const { made, charged, crashes } = attempts ?? {};
  const update = { ...set, jobId, from, now, made, charged, crashes, ofTenant: tenant };
  const [row] = (await updateJob(tx, update)).rows;
  if (!row) return null;
  await insertEvent(tx, row, event, now);
  return jobFromRow(row);
}

export async function insertEvent(
  tx: Db,
  job: Pick<JobsTable, 'id' | 'tenant' | 'seq'>,
  event: DurableEvent,
  at: number,
): Promise<void> {
  await insertEventRow(tx, eventToRow({ jobId: job.id, tenant: job.tenant, seq: job.seq, at, event }));
}
