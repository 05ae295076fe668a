/**
 * Stops one prompt for sure. A single interrupt is lost in a tenth of the tries and more, as ComfyUI resets its flag when
 * a prompt starts, and always answers 200 (observed on ComfyUI 0.3.64). So: delete from the queue, look, interrupt if it
 * runs, and again until it is gone. Interrupting only what was seen running keeps servers before 0.3.57, which ignore
 * the id, from stopping someone else's prompt.
 */
import { type Clock, pause } from '../lib/clock.ts';
import { decideEnd, type HistoryEntry } from './history.ts';
import type { CallOptions, ComfyHttp } from './http.ts';
import { placeInQueue } from './queue.ts';

export interface CancelOptions {
  readonly promptId: string;
  readonly clock: Clock;
  /** Gives up after this long, in ms. */
  readonly withinMs: number;
  /** Pause between two rounds, in ms; grows to ten times this after the first ten rounds. Default 50. */
  readonly everyMs?: number;
  /** Deadline of each call, in ms; default 3000. */
  readonly callDeadlineMs?: number;
  readonly signal?: AbortSignal;
  /** Told its history where it has one: it ran. */
  readonly onEnded?: (entry: HistoryEntry) => void;
}

export type CancelOutcome =
  /** Gone without a record: removed before it ran, or never there. A POST still on its way may queue it later. */
  | 'removed'
  | 'interrupted'
  /** It was faster: it succeeded or failed by itself. */
  | 'finished'
  /** The instance did not answer in the last round. */
  | 'unreachable'
  /** Still there: a node that reports no progress, or a dead worker. */
  | 'stuck';

const QUICK_ROUNDS = 10;

/** Ends with the first outcome, or when the time is up or the signal aborts with the last state seen. */
export async function cancelPrompt(
  http: Pick<ComfyHttp, 'deleteFromQueue' | 'getQueue' | 'interrupt' | 'getHistoryEntry'>,
  options: CancelOptions,
): Promise<CancelOutcome> {
  const { clock, promptId, withinMs, signal } = options;
  const everyMs = options.everyMs ?? 50;
  const call: CallOptions = { deadlineMs: options.callDeadlineMs ?? 3000, signal };
  const giveUpAt = clock.monotonic() + withinMs;
  for (let round = 1; ; round++) {
    const outcome = await cancelRound(http, promptId, call, options.onEnded);
    if (outcome !== 'stuck' && outcome !== 'unreachable') return outcome;
    const pauseMs = Math.min(everyMs * Math.max(1, round - QUICK_ROUNDS), everyMs * 10);
    if (clock.monotonic() + pauseMs > giveUpAt) return outcome;
    if (!(await pause(clock, pauseMs, signal))) return outcome;
  }
}

async function cancelRound(
  http: Parameters<typeof cancelPrompt>[0],
  promptId: string,
  call: CallOptions,
  onEnded: CancelOptions['onEnded'],
): Promise<CancelOutcome> {
  const deleted = await http.deleteFromQueue([promptId], call);
  if (!deleted.ok) return 'unreachable';
  const queue = await http.getQueue(call);
  if (!queue.ok) return 'unreachable';
  const place = placeInQueue(queue.value, promptId);
  if (place === 'running') await http.interrupt(promptId, call);
  if (place !== 'absent') return 'stuck';
  const history = await http.getHistoryEntry(promptId, call);
  if (!history.ok) return 'unreachable';
  if (history.value === null) return 'removed';
  onEnded?.(history.value);
  return decideEnd(history.value).kind === 'interrupted' ? 'interrupted' : 'finished';
}
