/** Frees an instance of a prompt nobody wants any more. Until it is free its place is not given to another job. */
import type { Source } from '../../fleet/panic.ts';
import { pause } from '../../lib/clock.ts';
import type { ActiveRun } from './active-run.ts';
import { WOULD_NOT_STOP } from './experience.ts';

const ROUND_MS = 2000;
const PAUSE_MS = 1000;
/** From then on its instance gets no other job either. */
const STUCK_AFTER_MS = 30_000;
const LOG_EVERY_MS = 30_000;

/** What it takes of a run. */
export type Releasable = Pick<
  ActiveRun,
  | 'promptId'
  | 'posted'
  | 'postedAt'
  | 'stopSignal'
  | 'partingSignal'
  | 'logger'
  | 'unwantedSince'
  | 'isStuck'
  | 'historyRead'
> & {
  readonly parts: Pick<ActiveRun['parts'], 'clock'> & {
    readonly config: Pick<
      ActiveRun['parts']['config'],
      'probeTimeoutMs' | 'unreachableLostMs' | 'submitGraceMs'
    >;
  };
  readonly subject: {
    readonly job: Source;
    readonly member: Pick<ActiveRun['subject']['member'], 'cancel' | 'experienced'>;
  };
};

/**
 * True once the prompt is gone for good, or its instance left the fleet; false when `withinMs` has passed first, or the
 * process stops. A node that reports no progress runs to its end before ComfyUI takes notice.
 */
export async function release(run: Releasable, withinMs: number): Promise<boolean> {
  const { clock, config } = run.parts;
  const startedAt = clock.monotonic();
  run.unwantedSince ??= startedAt;
  let unreachableSince: number | null = null;
  let loggedAt = startedAt;
  while (run.posted !== 'no' && !run.partingSignal.aborted) {
    const outcome = await run.subject.member.cancel({
      promptId: run.promptId,
      withinMs: Math.min(ROUND_MS, withinMs),
      callDeadlineMs: config.probeTimeoutMs,
      signal: run.partingSignal,
      onEnded: (entry) => run.historyRead(entry),
    });
    const now = clock.monotonic();
    if (outcome === 'interrupted' || outcome === 'finished') return true;
    if (outcome === 'removed' && !mayStillArrive(run, now)) return true;
    unreachableSince = outcome === 'unreachable' ? (unreachableSince ?? now) : null;
    if (unreachableSince !== null && now - unreachableSince >= config.unreachableLostMs) return true;
    if (outcome === 'stuck' && now - run.unwantedSince >= STUCK_AFTER_MS) noteStuck(run);
    if (now - startedAt >= withinMs) return false;
    if (now - loggedAt >= LOG_EVERY_MS) {
      loggedAt = now;
      run.logger.warn({ outcome, forMs: now - startedAt }, 'a prompt that is not wanted cannot be stopped');
    }
    await pause(clock, PAUSE_MS, run.partingSignal);
  }
  return !run.stopSignal.aborted;
}

function noteStuck(run: Releasable): void {
  if (run.isStuck) return;
  run.isStuck = true;
  run.subject.member.experienced(WOULD_NOT_STOP, run.subject.job);
}

/** The POST was not answered: the server may be about to queue it. */
function mayStillArrive(run: Releasable, now: number): boolean {
  return run.posted === 'unanswered' && now - run.postedAt < run.parts.config.submitGraceMs;
}
