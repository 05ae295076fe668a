/**
 * The part of the recorder that follows an attempt from its slot to its end. Every write names the attempt and the
 * leader's term and takes effect only while both still hold and the job still runs; otherwise it answers null or false
 * and nothing was written.
 */
import { FAULTS, type Fault } from '../domain/fault.ts';
import type { Attempt, AttemptOutcome, AttemptState, Job } from '../domain/job.ts';
import type { DurableEvent } from '../domain/job-event.ts';
import { attemptStatesBefore, hasEnded } from '../domain/job-states.ts';
import { noteDropped, withBlobs } from '../store/blobs.ts';
import type { Db, Store } from '../store/open.ts';
import { attemptFromRow, faultToColumns } from '../store/rows.ts';
import type { AttemptsTable } from '../store/schema.ts';
import type { Announcer } from './announce.ts';
import { changeJob, guarded, type RecorderParts, refuse } from './job-writes.ts';

export interface Assignment {
  readonly jobId: string;
  /** A fresh UUID; ComfyUI gets it as prompt_id. */
  readonly attemptId: string;
  readonly instanceId: string;
  readonly instanceName: string;
  readonly slot: number;
  readonly term: number;
  /** When the attempt times out, epoch ms. */
  readonly deadlineAt: number;
}

/** What becomes of a job whose attempt failed; `notBefore` in epoch ms. */
export type FailureDecision =
  | { readonly kind: 'final' }
  | { readonly kind: 'retry'; readonly notBefore: number; readonly delayMs: number };

export interface AttemptWriter {
  /** PENDING to PROCESSING, event started. Null: it waits no longer, or the slot is taken. */
  assign(assignment: Assignment): Promise<{ readonly job: Job; readonly attempt: Attempt } | null>;
  /** The instance has begun to run it. */
  running(attemptId: string, term: number): Promise<boolean>;
  /** The run is over, its outputs are being fetched. */
  collecting(attemptId: string, term: number): Promise<boolean>;
  /** From collecting to succeeded: the job is COMPLETED, its outputs are fixed; event finished. */
  complete(attemptId: string, term: number, runMs: number): Promise<Job | null>;
  /** The job is FAILED (event finished), or PENDING again (event retried) with the attempt's outputs withdrawn. */
  fail(
    attemptId: string,
    term: number,
    fault: Fault,
    decision: FailureDecision,
    runMs?: number,
  ): Promise<Job | null>;
  /** The instance forgot it: PENDING at its old place at once, not charged; event retried. */
  lose(attemptId: string, term: number, fault: Fault): Promise<Job | null>;
  /** Frees the slot of a job that was canceled (or deleted since), once its instance no longer runs it. */
  closeCanceled(attemptId: string, term: number): Promise<boolean>;
}

export function createAttemptWriter(parts: RecorderParts, announcer: Announcer): AttemptWriter {
  const { store, clock } = parts;
  const settle = async (
    work: (tx: Db, now: number) => Promise<{ job: Job; event: DurableEvent }>,
  ): Promise<Job | null> => {
    const now = clock.now();
    const done = await guarded(store, (tx) => work(tx, now));
    if (!done) return null;
    const requeued = done.event.type === 'retried';
    announcer.announce({
      ...done,
      runOver: true,
      ...(requeued && { queueChanged: true, hint: 'job-queued' as const }),
    });
    return done.job;
  };
  return {
    async assign(assignment) {
      const now = clock.now();
      const done = await guarded(store, (tx) => assign(tx, assignment, now));
      if (!done) return null;
      const event = { type: 'started', attemptId: assignment.attemptId } as const;
      announcer.announce({ job: done.job, event, queueChanged: true });
      return done;
    },
    running: (attemptId, term) => moveOn(store, attemptId, term, 'RUNNING', { running_at: clock.now() }),
    collecting: (attemptId, term) => moveOn(store, attemptId, term, 'COLLECTING', {}),
    complete: (attemptId, term, runMs) => settle((tx, now) => complete(tx, attemptId, term, runMs, now)),
    fail: (attemptId, term, fault, decision, runMs) =>
      settle(async (tx, now) => {
        const attempt = await close(tx, { attemptId, term, outcome: 'FAILED', fault, now });
        return decision.kind === 'final'
          ? giveUp(tx, attempt, fault, runMs, now)
          : requeue(tx, attempt, decision, now);
      }),
    lose: (attemptId, term, fault) =>
      settle(async (tx, now) => {
        const attempt = await close(tx, { attemptId, term, outcome: 'LOST', fault, now });
        return requeue(tx, attempt, { notBefore: now, delayMs: 0 }, now);
      }),
    closeCanceled: (attemptId, term) => closeCanceled(store, attemptId, term, clock.now()),
  };
}

/** A slot that is taken makes the insert do nothing (unique index on open attempts), which undoes the rest. */
async function assign(tx: Db, assignment: Assignment, now: number): Promise<{ job: Job; attempt: Attempt }> {
  const { jobId, attemptId, instanceId, instanceName, slot, term, deadlineAt } = assignment;
  const job = await changeJob(tx, {
    jobId,
    from: ['PENDING'],
    set: { status: 'PROCESSING', instance_id: instanceId },
    attempts: { made: 1, charged: 1 },
    event: { type: 'started', attemptId },
    now,
  });
  if (!job) refuse();
  const row: AttemptsTable = {
    id: attemptId,
    job_id: jobId,
    tenant: job.tenant,
    number: job.attemptCount,
    instance_id: instanceId,
    instance_name: instanceName,
    slot,
    term,
    state: 'SUBMITTING',
    outcome: null,
    charged: 1,
    deadline_at: deadlineAt,
    started_at: now,
    running_at: null,
    finished_at: null,
    ...faultToColumns(null),
  };
  const result = await tx
    .insertInto('attempts')
    .values(row)
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirstOrThrow();
  if ((result.numInsertedOrUpdatedRows ?? 0n) === 0n) refuse();
  return { job, attempt: attemptFromRow(row) };
}

/** Relaxed: where an attempt stands is asked of its instance again after a power cut. */
function moveOn(
  store: Store,
  attemptId: string,
  term: number,
  to: AttemptState,
  set: Partial<AttemptsTable>,
): Promise<boolean> {
  return store.relaxed(async (tx) => {
    const result = await tx
      .updateTable('attempts')
      .set({ ...set, state: to })
      .where('id', '=', attemptId)
      .where('term', '=', term)
      .where('state', 'in', attemptStatesBefore(to))
      .where((eb) =>
        eb.exists(
          eb
            .selectFrom('jobs')
            .select('jobs.id')
            .whereRef('jobs.id', '=', 'attempts.job_id')
            .where('jobs.status', '=', 'PROCESSING'),
        ),
      )
      .executeTakeFirstOrThrow();
    return result.numUpdatedRows > 0n;
  });
}

interface Closing {
  readonly attemptId: string;
  readonly term: number;
  readonly outcome: AttemptOutcome;
  readonly fault: Fault | null;
  readonly now: number;
}

/** Ends the attempt; refuses when it is not open in this term. */
async function close(tx: Db, { attemptId, term, outcome, fault, now }: Closing): Promise<AttemptsTable> {
  const row = await tx
    .updateTable('attempts')
    .set({
      state: outcome,
      outcome,
      finished_at: now,
      ...faultToColumns(fault),
      ...(fault && { charged: isCharged(outcome, fault) ? 1 : 0 }),
    })
    .where('id', '=', attemptId)
    .where('term', '=', term)
    .where('state', 'in', attemptStatesBefore(outcome))
    .returningAll()
    .executeTakeFirst();
  return row ?? refuse();
}

/** An instance that forgot the job is never the job's fault, whatever the fault says. */
function isCharged(outcome: AttemptOutcome, fault: Fault): boolean {
  return outcome !== 'LOST' && FAULTS[fault.code].charged;
}

/** What it takes off the job's account: an attempt is charged when it starts, and given back when it turns out otherwise. */
function refund(attempt: AttemptsTable): { made: number; charged: number } {
  return { made: 0, charged: attempt.charged === 1 ? 0 : -1 };
}

async function complete(
  tx: Db,
  attemptId: string,
  term: number,
  runMs: number,
  now: number,
): Promise<{ job: Job; event: DurableEvent }> {
  const attempt = await close(tx, { attemptId, term, outcome: 'SUCCEEDED', fault: null, now });
  const event = { type: 'finished', status: 'COMPLETED' } as const;
  const job = await changeJob(tx, {
    jobId: attempt.job_id,
    from: ['PROCESSING'],
    set: { status: 'COMPLETED', finished_at: now, run_ms: Math.round(runMs) },
    event,
    now,
  });
  return job ? { job, event } : refuse();
}

async function giveUp(
  tx: Db,
  attempt: AttemptsTable,
  fault: Fault,
  runMs: number | undefined,
  now: number,
): Promise<{ job: Job; event: DurableEvent }> {
  const event = { type: 'finished', status: 'FAILED' } as const;
  const run_ms = runMs === undefined ? null : Math.round(runMs);
  const job = await changeJob(tx, {
    jobId: attempt.job_id,
    from: ['PROCESSING'],
    set: { status: 'FAILED', finished_at: now, run_ms, ...faultToColumns(fault) },
    attempts: refund(attempt),
    event,
    now,
  });
  return job ? { job, event } : refuse();
}

/** Back to the queue; what the attempt produced is withdrawn. */
async function requeue(
  tx: Db,
  attempt: AttemptsTable,
  wait: { readonly notBefore: number; readonly delayMs: number },
  now: number,
): Promise<{ job: Job; event: DurableEvent }> {
  const event = { type: 'retried', attemptId: attempt.id, delayMs: wait.delayMs } as const;
  const job = await changeJob(tx, {
    jobId: attempt.job_id,
    from: ['PROCESSING'],
    set: { status: 'PENDING', not_before: wait.notBefore },
    attempts: refund(attempt),
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
  return { job, event };
}

/**
 * Frees the slot of a job that no longer runs. The job may have been deleted meanwhile; its attempt was kept until here
 * because the instance was still busy with it.
 */
async function closeCanceled(store: Store, attemptId: string, term: number, now: number): Promise<boolean> {
  const closed = await guarded(store, async (tx) => {
    const attempt = await close(tx, { attemptId, term, outcome: 'CANCELED', fault: null, now });
    const job = await tx
      .selectFrom('jobs')
      .select('status')
      .where('id', '=', attempt.job_id)
      .executeTakeFirst();
    if (job && !hasEnded(job.status)) refuse();
    if (!job) await tx.deleteFrom('attempts').where('id', '=', attemptId).execute();
    return true;
  });
  return closed ?? false;
}
