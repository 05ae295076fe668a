/**
 * Writes down how an attempt ended. Where the row says otherwise, because the job was canceled meanwhile, the attempt is
 * closed as canceled instead. The store may be away for a while: it is asked again until it takes it.
 */
import type { Job } from '../domain/job.ts';
import type { BackoffBounds } from '../lib/backoff.ts';
import type { ActiveRun } from './active-run.ts';
import { insist } from './insist.ts';
import type { Outcome } from './outcome.ts';
import { afterFault } from './retry-policy.ts';

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
  const job = await insist(run, () => write(run, outcome, tuning));
  if (!job) await closeCanceled(run);
  return job ?? null;
}

/** The job was canceled and its instance is free of it. */
export async function closeCanceled(run: ActiveRun): Promise<void> {
  run.feed.silence();
  // what was said between the cancel and its arrival here must not stay on the bus
  run.parts.bus.forget(run.subject.job.id);
  await insist(run, () => run.parts.recorder.closeCanceled(run.promptId, run.subject.term));
}

async function write(
  run: ActiveRun,
  outcome: Exclude<Outcome, { kind: 'interrupted' }>,
  { bounds, random }: RetryTuning,
): Promise<Job | null> {
  const { recorder, clock } = run.parts;
  const { attempt, job, term } = run.subject;
  switch (outcome.kind) {
    case 'succeeded':
      return recorder.complete(attempt.id, term, outcome.runMs);
    case 'lost':
      return recorder.lose(attempt.id, term, outcome.fault);
    case 'failed': {
      const attempts = { charged: job.chargedAttempts, maxAttempts: job.maxAttempts };
      const decision = afterFault(outcome.fault, attempts, bounds, random);
      run.logger.warn({ code: outcome.fault.code, decision: decision.kind }, 'an attempt failed');
      return recorder.fail(
        attempt.id,
        term,
        outcome.fault,
        decision.kind === 'final' ? decision : { ...decision, notBefore: clock.now() + decision.delayMs },
        outcome.runMs ?? undefined,
      );
    }
  }
}
