/** Carries a run to its very end: the pipeline, the row, and an instance that is free again. Never rejects. */
import { fault } from '../../domain/fault.ts';
import { SPANS } from '../../tracing/spans.ts';
import type { ActiveRun } from './active-run.ts';
import { runAttempt } from './attempt.ts';
import { experienceOf, WOULD_NOT_STOP } from './experience.ts';
import { failed, type Outcome } from './outcome.ts';
import { release } from './release.ts';
import { closeCanceled, letGo, type RetryTuning, settle } from './settle.ts';

/** A prompt that does not stop sooner says something about its instance, and its job is over without it. */
const TIMEOUT_RELEASE_MS = 5000;
const FREE_DEADLINE_MS = 3000;

export async function carryOut(run: ActiveRun, tuning: RetryTuning): Promise<void> {
  const { job, attempt, adopted } = run.subject;
  run.logger.info({ workflow: job.workflow, number: attempt.number, adopted }, 'an attempt begins');
  try {
    const outcome = await runToOutcome(run);
    if (outcome.kind === 'interrupted' || isTakenAway(run, outcome)) await obey(run, tuning);
    else await conclude(run, outcome, tuning);
  } catch (error) {
    run.logger.error({ err: error }, 'an attempt could not be brought to its end');
  } finally {
    if (!run.stopSignal.aborted && hasNotBegun(run)) run.parts.learning.didNotBegin(run.expectation);
    run.endDeadline();
    run.feed.close();
    // what a run that ended otherwise still fetches is not wanted
    await run.outputs.close();
    run.releaseClientId();
    run.trace.end(run.interruption);
  }
}

function hasNotBegun({ posted, reached }: ActiveRun): boolean {
  return posted === 'no' || reached === 'waiting';
}

/** What fails because its instance left the fleet is nobody's fault. */
function isTakenAway(run: ActiveRun, outcome: Outcome): boolean {
  return run.interruption === 'removed' && outcome.kind !== 'succeeded';
}

async function runToOutcome(run: ActiveRun): Promise<Outcome> {
  try {
    return await runAttempt(run);
  } catch (error) {
    run.logger.error({ err: error }, 'an attempt failed for a reason of our own');
    await free(run, TIMEOUT_RELEASE_MS);
    return run.stopSignal.aborted ? { kind: 'interrupted' } : failed(fault('INTERNAL'));
  }
}

/** The instance's account comes first: it must not be given the job again before the fault is known. */
async function conclude(
  run: ActiveRun,
  outcome: Exclude<Outcome, { kind: 'interrupted' }>,
  tuning: RetryTuning,
): Promise<void> {
  const { member, job } = run.subject;
  const experience = experienceOf(outcome, job.id);
  if (experience) member.experienced(experience, job);
  if (outcome.kind === 'succeeded' && !outcome.goneWith)
    run.parts.learning.succeeded(run.expectation, outcome.runMs);
  await settle(run, outcome, tuning);
  if (outcome.kind === 'failed' && outcome.fault.code === 'OUT_OF_MEMORY') await freeMemory(run);
}

/** While the place is still taken, so that the next job there finds room. */
async function freeMemory(run: ActiveRun): Promise<void> {
  const call = { deadlineMs: FREE_DEADLINE_MS, signal: run.stopSignal };
  const freed = await run.subject.member.http.free({ unloadModels: true, freeMemory: true }, call);
  if (freed.ok) run.parts.learning.freed(run.subject.member.id);
  else run.logger.warn({ reason: freed.message }, 'an instance could not be told to free its memory');
}

function free(run: ActiveRun, withinMs: number): Promise<boolean> {
  return run.trace.step(SPANS.release, () => release(run, withinMs));
}

async function obey(run: ActiveRun, tuning: RetryTuning): Promise<void> {
  switch (run.interruption) {
    case 'cancel':
      if (!(await free(run, Number.POSITIVE_INFINITY))) return;
      run.crashAt('release:done');
      await closeCanceled(run);
      return;
    case 'timeout': {
      run.stillRuns();
      // how long it really was there is known once it is gone; one that does not go is not waited for
      const gone = await free(run, TIMEOUT_RELEASE_MS);
      if (run.stopSignal.aborted) return;
      if (!gone) run.stillRuns();
      await conclude(run, failed(fault('TIMEOUT')), tuning);
      if (gone) return;
      run.subject.member.experienced(WOULD_NOT_STOP, run.subject.job);
      await free(run, Number.POSITIVE_INFINITY);
      return;
    }
    case 'removed':
      await settle(run, { kind: 'lost', fault: fault('INSTANCE_LOST') }, tuning);
      return;
    default:
      // stopping: the rows stay as they are, the next start adopts the attempt
      letGo(run);
      return;
  }
}
