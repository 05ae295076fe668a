/**
 * The part of the recorder that follows an attempt from its slot to its end. Every write names the attempt and the
 * leader's term and takes effect only while both still hold and the job still runs; otherwise it answers null or false
 * and nothing was written.
 */
import type { CrashWrite } from '../domain/crash-points.ts';
import type { Fault } from '../domain/fault.ts';
import type { Attempt, AttemptState, Job } from '../domain/job.ts';
import { attemptStatesBefore, hasEnded } from '../domain/job-states.ts';
import type { MetricFact } from '../domain/metric-fact.ts';
import { isTermOver, LEADER_LEASE } from '../store/leases.ts';
import { noteFacts } from '../store/metric-outbox.ts';
import type { Db } from '../store/open.ts';
import { storeTrouble } from '../store/retryable.ts';
import { attemptFromRow, faultToColumns } from '../store/rows.ts';
import type { AttemptsTable } from '../store/schema.ts';
import { statement } from '../store/statement.ts';
import type { Announcer } from './announce.ts';
import { close, closeCanceled, complete, giveUp, requeue, type Settled } from './attempt-ends.ts';
import { attemptEndedFact, endedFact, startedFact } from './facts.ts';
import { type CommitParts, changeJob, committed, guarded, type RecorderParts, refuse } from './job-writes.ts';

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
  /** `verdict`: what the job is told, where that is not the attempt's own fault. */
  | { readonly kind: 'final'; readonly verdict?: Fault }
  | { readonly kind: 'retry'; readonly notBefore: number; readonly delayMs: number };

export interface AttemptWriter {
  /** PENDING to PROCESSING, event started. Null: it waits no longer, the slot is taken, or a later term has begun. */
  assign(assignment: Assignment): Promise<{ readonly job: Job; readonly attempt: Attempt } | null>;
  /** The instance has begun to run it. */
  running(attemptId: string, term: number): Promise<boolean>;
  /** The run is over, its outputs are being fetched. */
  collecting(attemptId: string, term: number): Promise<boolean>;
  /** From collecting to succeeded: the job is COMPLETED, its outputs are fixed; event finished. `runMs`: time on the instance. */
  complete(attemptId: string, term: number, runMs: number): Promise<Job | null>;
  /**
   * The job is FAILED (event finished), or PENDING again (event retried) with the attempt's outputs withdrawn. `runMs` here
   * and below: time on the instance as far as it is known; null, the default, where the attempt never ran there.
   */
  fail(
    attemptId: string,
    term: number,
    fault: Fault,
    decision: FailureDecision,
    runMs?: number | null,
  ): Promise<Job | null>;
  /**
   * The instance forgot it or went down: PENDING at its old place at once, not charged, event retried; or FAILED, event
   * finished, when it is decided that this happened too often.
   */
  lose(
    attemptId: string,
    term: number,
    fault: Fault,
    decision?: FailureDecision,
    runMs?: number | null,
  ): Promise<Job | null>;
  /** Frees the slot of a job that was canceled (or deleted since), once its instance no longer runs it. */
  closeCanceled(attemptId: string, term: number, runMs?: number | null): Promise<boolean>;
}

export function createAttemptWriter(parts: RecorderParts, announcer: Announcer): AttemptWriter {
  const { clock } = parts;
  const settle = settler(parts, announcer);
  return {
    async assign(assignment) {
      const now = clock.now();
      const done = await guarded(parts, 'assign', (tx) => assign(tx, parts.ids, assignment, now));
      if (!done) return null;
      const event = { type: 'started', attemptId: assignment.attemptId } as const;
      announcer.announce({ job: done.job, event, queueChanged: true });
      return done;
    },
    running: (attemptId, term) =>
      moveOn(parts, 'running', { attemptId, term, to: 'RUNNING', runningAt: clock.now() }),
    collecting: (attemptId, term) =>
      moveOn(parts, 'collecting', { attemptId, term, to: 'COLLECTING', runningAt: undefined }),
    async complete(attemptId, term, runMs) {
      const job = await settle('complete', attemptId, (tx, now) => complete(tx, attemptId, term, runMs, now));
      if (job) parts.crashAt?.('complete:announced');
      return job;
    },
    fail: (attemptId, term, fault, decision, runMs = null) =>
      settle('fail', attemptId, async (tx, now) => {
        const attempt = await close(tx, { attemptId, term, outcome: 'FAILED', fault, runMs, now });
        return decision.kind === 'final'
          ? giveUp(tx, attempt, { fault, verdict: decision.verdict }, runMs, now)
          : requeue(tx, attempt, fault, decision, now);
      }),
    lose: (attemptId, term, fault, decision, runMs = null) =>
      settle('lose', attemptId, async (tx, now) => {
        const attempt = await close(tx, { attemptId, term, outcome: 'LOST', fault, runMs, now });
        return decision?.kind === 'final'
          ? giveUp(tx, attempt, { fault, verdict: decision.verdict }, runMs, now)
          : requeue(tx, attempt, fault, decision ?? { notBefore: now, delayMs: 0 }, now);
      }),
    closeCanceled: (attemptId, term, runMs = null) => closeCanceled(parts, attemptId, term, runMs),
  };
}

type Settle = (
  write: CrashWrite,
  attemptId: string,
  work: (tx: Db, now: number) => Promise<Settled>,
) => Promise<Job | null>;

/**
 * Ends attempts and tells of it. A commit that got no answer in time may take place later still: whoever tries again finds
 * that it is done, and then those who listen must look at the rows once more.
 */
function settler(parts: RecorderParts, announcer: Announcer): Settle {
  const doubted = new Set<string>();
  return async (write, attemptId, work) => {
    const now = parts.clock.now();
    const done = await guarded(parts, write, async (tx) => {
      const settled = await work(tx, now);
      await noteFacts(tx, parts.ids, factsOf(settled));
      return settled;
    }).catch((error: unknown) => {
      if (storeTrouble(error) === 'unavailable') doubted.add(attemptId);
      throw error;
    });
    const inDoubt = doubted.delete(attemptId);
    if (!done) {
      if (inDoubt) parts.bus.missed();
      return null;
    }
    const requeued = done.event.type === 'retried';
    announcer.announce({
      ...done,
      runOver: true,
      queueChanged: true,
      ...(requeued && { hint: 'job-queued' as const }),
    });
    return done.job;
  };
}

function factsOf({ attempt, job }: Settled): MetricFact[] {
  const ended = hasEnded(job.status);
  const ofAttempt = attemptEndedFact(attempt, job.workflow, ended);
  return ended ? [ofAttempt, endedFact(job)] : [ofAttempt];
}

const insertAttempt = statement((q, row: AttemptsTable) =>
  q
    .insertInto('attempts')
    .values(row)
    .onConflict((conflict) => conflict.doNothing()),
);

/** A slot that is taken makes the insert do nothing (unique index on open attempts), which undoes the rest. */
async function assign(
  tx: Db,
  ids: () => string,
  assignment: Assignment,
  now: number,
): Promise<{ job: Job; attempt: Attempt }> {
  const { jobId, attemptId, instanceId, instanceName, slot, term, deadlineAt } = assignment;
  if (await isTermOver(tx, LEADER_LEASE, term)) refuse();
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
    run_ms: null,
    workflow: job.workflow,
    ...faultToColumns(null),
  };
  const { numAffectedRows = 0n } = await insertAttempt(tx, row);
  if (numAffectedRows === 0n) refuse();
  if (job.attemptCount === 1) await noteFacts(tx, ids, [startedFact(job, instanceId, now)]);
  return { job, attempt: attemptFromRow(row) };
}

interface Move {
  readonly attemptId: string;
  readonly term: number;
  readonly from: readonly AttemptState[];
  readonly to: AttemptState;
  /** Undefined leaves it as it is. */
  readonly runningAt: number | undefined;
}

const moveAttempt = statement((q, { attemptId, term, from, to, runningAt }: Move) =>
  q
    .updateTable('attempts')
    .set({ state: to, ...(runningAt !== undefined && { running_at: runningAt }) })
    .where('id', '=', attemptId)
    .where('term', '=', term)
    .where('state', 'in', from)
    .where((eb) =>
      eb.exists(
        eb
          .selectFrom('jobs')
          .select('jobs.id')
          .whereRef('jobs.id', '=', 'attempts.job_id')
          .where('jobs.status', '=', 'PROCESSING'),
      ),
    ),
);

/** Relaxed: where an attempt stands is asked of its instance again after a power cut. */
function moveOn(parts: CommitParts, write: CrashWrite, move: Omit<Move, 'from'>): Promise<boolean> {
  const work = async (tx: Db): Promise<boolean> => {
    const { numAffectedRows = 0n } = await moveAttempt(tx, { ...move, from: attemptStatesBefore(move.to) });
    return numAffectedRows > 0n;
  };
  return committed(parts, write, work, 'relaxed');
}
