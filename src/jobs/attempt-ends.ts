/**
 * How an attempt ends and what that makes of its job: finished, given up, back in the queue, or a slot that is free
 * again. All but closeCanceled run inside the caller's transaction and refuse when the attempt or the job moved on.
 */
import { FAULTS, type Fault, takesDown } from '../domain/fault.ts';
import type { AttemptOutcome, AttemptState, Job } from '../domain/job.ts';
import type { DurableEvent } from '../domain/job-event.ts';
import { attemptStatesBefore, hasEnded } from '../domain/job-states.ts';
import { noteDropped, withBlobs } from '../store/blobs.ts';
import { shared } from '../store/engine-sql.ts';
import { noteFacts } from '../store/metric-outbox.ts';
import type { Db } from '../store/open.ts';
import { faultToColumns } from '../store/rows.ts';
import type { AttemptsTable } from '../store/schema.ts';
import { statement } from '../store/statement.ts';
import { attemptEndedFact } from './facts.ts';
import { changeJob, guarded, type JobChanges, type RecorderParts, refuse } from './job-writes.ts';

/** What was written, for the announcement and the figures. */
export interface Settled {
  readonly attempt: AttemptsTable;
  readonly job: Job;
  readonly event: DurableEvent;
}

interface Closing {
  readonly attemptId: string;
  readonly term: number;
  readonly outcome: AttemptOutcome;
  readonly fault: Fault | null;
  /** Time on the instance; null where it never ran there. */
  readonly runMs: number | null;
  readonly now: number;
}

type AttemptEnd = Partial<AttemptsTable> &
  Pick<Closing, 'attemptId' | 'outcome'> & {
    readonly ofTerm: number;
    readonly from: readonly AttemptState[];
  };

const endAttempt = statement((q, { attemptId, ofTerm, outcome, from, ...set }: AttemptEnd) =>
  q
    .updateTable('attempts')
    .set({ ...set, state: outcome, outcome })
    .where('id', '=', attemptId)
    .where('term', '=', ofTerm)
    .where('state', 'in', from)
    .returningAll(),
);

/** Ends the attempt; refuses when it is not open in this term. */
export async function close(
  tx: Db,
  { attemptId, term, outcome, fault, runMs, now }: Closing,
): Promise<AttemptsTable> {
  const { rows } = await endAttempt(tx, {
    attemptId,
    ofTerm: term,
    outcome,
    from: attemptStatesBefore(outcome),
    finished_at: now,
    run_ms: Math.round(runMs ?? 0),
    ...faultToColumns(fault),
    ...(fault && { charged: isCharged(outcome, fault) ? 1 : 0 }),
  });
  return rows[0] ?? refuse();
}

/** An instance that forgot the job is never the job's fault, whatever the fault says. */
function isCharged(outcome: AttemptOutcome, fault: Fault): boolean {
  return outcome !== 'LOST' && FAULTS[fault.code].charged;
}

/**
 * What it changes in the job's account: an attempt is charged when it starts, and given back when it turns out otherwise;
 * one that went down with its instance is remembered.
 */
function account(attempt: AttemptsTable, fault: Fault): NonNullable<JobChanges['attempts']> {
  return {
    made: 0,
    charged: attempt.charged === 1 ? 0 : -1,
    crashes: takesDown(fault.code) ? 1 : undefined,
  };
}

export async function complete(
  tx: Db,
  attemptId: string,
  term: number,
  runMs: number,
  now: number,
): Promise<Settled> {
  const attempt = await close(tx, { attemptId, term, outcome: 'SUCCEEDED', fault: null, runMs, now });
  const event = { type: 'finished', status: 'COMPLETED' } as const;
  const job = await changeJob(tx, {
    jobId: attempt.job_id,
    from: ['PROCESSING'],
    set: { status: 'COMPLETED', finished_at: now, run_ms: Math.round(runMs) },
    event,
    now,
  });
  return job ? { attempt, job, event } : refuse();
}

/** `verdict` is what the job is told; it differs from the attempt's own fault when several attempts together decide. */
export async function giveUp(
  tx: Db,
  attempt: AttemptsTable,
  { fault, verdict = fault }: { readonly fault: Fault; readonly verdict?: Fault | undefined },
  runMs: number | null,
  now: number,
): Promise<Settled> {
  const event = { type: 'finished', status: 'FAILED' } as const;
  const run_ms = runMs === null ? null : Math.round(runMs);
  const job = await changeJob(tx, {
    jobId: attempt.job_id,
    from: ['PROCESSING'],
    set: { status: 'FAILED', finished_at: now, run_ms, ...faultToColumns(verdict) },
    attempts: account(attempt, fault),
    event,
    now,
  });
  return job ? { attempt, job, event } : refuse();
}

/** Back to the queue; what the attempt produced is withdrawn. */
export async function requeue(
  tx: Db,
  attempt: AttemptsTable,
  fault: Fault,
  wait: { readonly notBefore: number; readonly delayMs: number },
  now: number,
): Promise<Settled> {
  const event = { type: 'retried', attemptId: attempt.id, delayMs: wait.delayMs } as const;
  const job = await changeJob(tx, {
    jobId: attempt.job_id,
    from: ['PROCESSING'],
    set: { status: 'PENDING', not_before: wait.notBefore },
    attempts: account(attempt, fault),
    event,
    now,
  });
  if (!job) refuse();
  const withdrawn = await tx
    .deleteFrom('outputs')
    .where('attempt_id', '=', attempt.id)
    .returning(['tenant', 'sha256'])
    .execute();
  await noteDropped(tx, withBlobs(withdrawn));
  return { attempt, job, event };
}

/**
 * Frees the slot of a job that no longer runs. The job may have been deleted meanwhile; its attempt was kept until here
 * because the instance was still busy with it.
 */
export async function closeCanceled(
  parts: RecorderParts,
  attemptId: string,
  term: number,
  runMs: number | null,
): Promise<boolean> {
  const now = parts.clock.now();
  const closed = await guarded(parts, 'close-canceled', async (tx) => {
    const attempt = await close(tx, { attemptId, term, outcome: 'CANCELED', fault: null, runMs, now });
    // one that is being deleted is waited for: whoever deletes it does not see yet that this attempt has ended
    const job = await tx
      .selectFrom('jobs')
      .select(['status', 'workflow'])
      .where('id', '=', attempt.job_id)
      .modifyEnd(shared(tx))
      .executeTakeFirst();
    if (job && !hasEnded(job.status)) refuse();
    if (!job) await tx.deleteFrom('attempts').where('id', '=', attemptId).execute();
    const workflow = attempt.workflow ?? job?.workflow;
    // not known of an attempt by an older version whose job is gone
    if (workflow) await noteFacts(tx, parts.ids, [attemptEndedFact(attempt, workflow, false)]);
    return true;
  });
  return closed ?? false;
}
