/**
 * Writes down how an attempt ended. Where the row says otherwise, because the job was canceled meanwhile, the attempt is
 * closed as canceled instead. The store may be away for a while: it is asked again until it takes it.
 */
import type { Fault } from '../../domain/fault.ts';
import type { Job } from '../../domain/job.ts';
import type { FailureDecision } from '../../jobs/attempt-writer.ts';
import type { BackoffBounds } from '../../lib/backoff.ts';
import { attemptsOfJobs } from '../../store/attempts.ts';
import type { ActiveRun } from './active-run.ts';
import { insist } from './insist.ts';
import type { Outcome } from './outcome.ts';
import { afterFault, COUNTED } from './retry-policy.ts';

export interface RetryTuning {
  readonly bounds: BackoffBounds;
  readonly random: () => number;
}

/** The job as it then stands; null when it was canceled or deleted, or the process stops. */
export async function settle(
  run: ActiveRun,
  outcome: Exclude<Outcome, { kind: 'interrupted' }>,
  tuning: RetryTuning,
): Promise<Job | null> {
  run.feed.close();
  run.trace.concluded(outcome);
  const job = await insist(run, () => write(run, outcome, tuning));
  if (!job) await closeCanceled(run);
  else if (outcome.kind === 'succeeded') run.logger.info({ runMs: outcome.runMs }, 'an attempt succeeded');
  return job ?? null;
}

/** The job was canceled and its instance is free of it. */
export async function closeCanceled(run: ActiveRun): Promise<void> {
  run.feed.silence();
  run.trace.canceled();
  run.logger.info('an attempt was canceled');
  // what was said between the cancel and its arrival here must not stay on the bus
  run.parts.bus.forget(run.subject.job.id);
  await insist(run, () => run.parts.recorder.closeCanceled(run.promptId, run.subject.term, run.ranMs));
}

async function write(
  run: ActiveRun,
  outcome: Exclude<Outcome, { kind: 'interrupted' }>,
  tuning: RetryTuning,
): Promise<Job | null> {
  const { recorder } = run.parts;
  const { attempt, term } = run.subject;
  if (outcome.kind === 'succeeded') return recorder.complete(attempt.id, term, outcome.runMs);
  const decision = await decide(run, outcome.fault, tuning);
  const { code } = outcome.fault;
  run.trace.decided(decision.kind);
  run.logger.warn(
    { code, decision: decision.kind },
    `an attempt ${outcome.kind === 'lost' ? 'was lost' : 'failed'}`,
  );
  if (outcome.kind === 'lost') return recorder.lose(attempt.id, term, outcome.fault, decision, run.ranMs);
  return recorder.fail(attempt.id, term, outcome.fault, decision, outcome.runMs ?? run.ranMs);
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
