/**
 * An instance that went away after a run had ended, but before its history was read. Where the socket told everything,
 * history could add nothing: once the announced outputs are in storage, the job is done and need not run again.
 */
import type { ActiveRun } from '../runs/active-run.ts';
import { insist } from '../runs/insist.ts';
import { INTERRUPTED, type Outcome } from '../runs/outcome.ts';

type Lost = Extract<Outcome, { kind: 'lost' }>;

/** `lost` as it is, unless all that the job made is here. Files that are still on their way are waited for. */
export async function salvage(run: ActiveRun, lost: Lost): Promise<Outcome> {
  if (!run.isFullyTold) return lost;
  run.endDeadline();
  const missing = await run.outputs.settled();
  if (run.interruption) return INTERRUPTED;
  if (missing || run.outputs.count === 0) return lost;
  const { attempt, term } = run.subject;
  await insist(run, () => run.parts.recorder.collecting(attempt.id, term));
  run.logger.info('a run was completed from what its socket told, as its instance went away');
  return { kind: 'succeeded', runMs: run.ranMs ?? 0, goneWith: lost.fault };
}
