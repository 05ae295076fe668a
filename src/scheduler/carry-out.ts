/** Carries a run to its very end: the pipeline, the row, and an instance that is free again. Never rejects. */
import { fault } from '../domain/fault.ts';
import type { ActiveRun } from './active-run.ts';
import { runAttempt } from './attempt.ts';
import { failed, type Outcome } from './outcome.ts';
import { release } from './release.ts';
import { closeCanceled, type RetryTuning, settle } from './settle.ts';

/** A timed-out job is not kept waiting for a node that takes no notice. */
const TIMEOUT_RELEASE_MS = 5000;

export async function carryOut(run: ActiveRun, tuning: RetryTuning): Promise<void> {
  try {
    const outcome = await runToOutcome(run);
    if (outcome.kind === 'interrupted') await obey(run, tuning);
    else await settle(run, outcome, tuning);
  } catch (error) {
    run.logger.error({ err: error }, 'an attempt could not be brought to its end');
  } finally {
    run.endDeadline();
    run.feed.close();
    // what a run that ended otherwise still fetches is not wanted
    await run.outputs.close();
    run.releaseClientId();
  }
}

async function runToOutcome(run: ActiveRun): Promise<Outcome> {
  try {
    return await runAttempt(run);
  } catch (error) {
    run.logger.error({ err: error }, 'an attempt failed for a reason of our own');
    await release(run, TIMEOUT_RELEASE_MS);
    return run.stopSignal.aborted ? { kind: 'interrupted' } : failed(fault('INTERNAL'));
  }
}

async function obey(run: ActiveRun, tuning: RetryTuning): Promise<void> {
  switch (run.interruption) {
    case 'cancel':
      if (!(await release(run, Number.POSITIVE_INFINITY))) return;
      run.crashAt('release:done');
      await closeCanceled(run);
      return;
    case 'timeout': {
      const free = await release(run, TIMEOUT_RELEASE_MS);
      if (run.stopSignal.aborted) return;
      await settle(run, failed(fault('TIMEOUT')), tuning);
      // the job is answered for; the place stays taken until the instance lets go
      if (!free) await release(run, Number.POSITIVE_INFINITY);
      return;
    }
    default:
      // stopping: the rows stay as they are, the next start adopts the attempt
      return;
  }
}
