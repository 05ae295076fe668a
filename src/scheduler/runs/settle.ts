/**
 * Writes down how an attempt ended. Where the row says otherwise, because the job was canceled meanwhile, the attempt is
 * closed as canceled instead. The store may be away for a while: it is asked again until it takes it. Log and trace say what
 * the rows say in the end.
 */
import type { Fault } from '../../domain/fault.ts';
import type { Job } from '../../domain/job.ts';
import type { FailureDecision } from '../../jobs/attempt-writer.ts';
import type { BackoffBounds } from '../../lib/backoff.ts';
import { attemptsOfJobs, findAttempt } from '../../store/attempts.ts';
import type { ActiveRun } from './active-run.ts';
import { insist } from './insist.ts';
import type { Outcome } from './outcome.ts';
import { afterFault, COUNTED } from './retry-policy.ts';

export interface RetryTuning {
  readonly bounds: BackoffBounds;
  readonly random: () => number;
}

type Settled = Exclude<Outcome, { kind: 'interrupted' }>;
type Failure = Exclude<Settled, { kind: 'succeeded' }>;

/** How an attempt ends: the write, and what log and trace say once it stands. */
interface Ending {
  readonly write: () => Promise<Job | null>;
  readonly tell: () => void;
}

export async function settle(run: ActiveRun, outcome: Settled, tuning: RetryTuning): Promise<void> {
  run.feed.close();
  const ending = await insist(run, async () =>
    outcome.kind === 'succeeded' ? success(run, outcome.runMs) : failure(run, outcome, tuning),
  );
  if (!ending) return letGo(run);
  const job = await insist(run, ending.write);
  if (!job && (await closeCanceled(run)) !== 'ended') return;
  run.trace.concluded(outcome);
  ending.tell();
}

function success(run: ActiveRun, runMs: number): Ending {
  return {
    write: () => run.parts.recorder.complete(run.promptId, run.subject.term, runMs),
    tell: () => run.logger.info({ runMs }, 'an attempt succeeded'),
  };
}

async function failure(run: ActiveRun, outcome: Failure, tuning: RetryTuning): Promise<Ending> {
  const { recorder } = run.parts;
  const { promptId, subject } = run;
  const { kind, fault } = outcome;
  const decision = await decide(run, fault, tuning);
  return {
    write: () =>
      kind === 'lost'
        ? recorder.lose(promptId, subject.term, fault, decision, run.ranMs)
        : recorder.fail(promptId, subject.term, fault, decision, outcome.runMs ?? run.ranMs),
    tell() {
      run.trace.decided(decision.kind);
      const fields = { code: fault.code, decision: decision.kind };
      run.logger.warn(fields, kind === 'lost' ? 'an attempt was lost' : 'an attempt failed');
    },
  };
}

/** What was found when a slot was to be freed. `ended`: a write that got no answer took place. */
type Found = 'canceled' | 'ended' | 'let go';

/** The job was canceled and its instance is free of it; unless that is not why its row took no other end. */
export async function closeCanceled(run: ActiveRun): Promise<Found> {
  run.feed.silence();
  // what was said between the cancel and its arrival here must not stay on the bus
  run.parts.bus.forget(run.subject.job.id);
  const { recorder } = run.parts;
  const closed = await insist(run, () => recorder.closeCanceled(run.promptId, run.subject.term, run.ranMs));
  const found = closed ? 'canceled' : closed === null ? null : await insist(run, () => find(run));
  if (found === 'canceled') {
    run.trace.canceled();
    run.logger.info('an attempt was canceled');
  } else if (found !== 'ended') letGo(run);
  return found ?? 'let go';
}

async function find({ parts, subject, promptId }: ActiveRun): Promise<Found> {
  const attempt = await findAttempt(parts.store.db, promptId);
  // that of a deleted job goes as soon as its slot is free
  if (!attempt || attempt.state === 'CANCELED') return 'canceled';
  return attempt.term === subject.term && attempt.finishedAt !== null ? 'ended' : 'let go';
}

/** This process stops, or leads no more: whoever leads next goes on with it. */
export function letGo(run: ActiveRun): void {
  run.logger.info('an attempt is let go');
}

async function decide(
  run: ActiveRun,
  fault: Fault,
  { bounds, random }: RetryTuning,
): Promise<FailureDecision> {
  const { clock, config } = run.parts;
  const { chargedAttempts: charged, maxAttempts, crashes } = run.subject.job;
  const earlier = await timesSo(run, fault);
  const attempts = { charged, maxAttempts, crashes, earlier };
  const decision = afterFault(fault, attempts, { bounds, maxCrashes: config.maxCrashes }, random);
  return decision.kind === 'final' ? decision : { ...decision, notBefore: clock.now() + decision.delayMs };
}

/** How many of the attempts before this one ended alike, where that counts. */
async function timesSo(run: ActiveRun, { code }: Fault): Promise<number> {
  if (!COUNTED.has(code)) return 0;
  const { id } = run.subject.job;
  const attempts = (await attemptsOfJobs(run.parts.store.db, 'any', [id])).get(id) ?? [];
  return attempts.filter((attempt) => attempt.error?.code === code).length;
}
