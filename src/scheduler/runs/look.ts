/** Looks a prompt up on its instance: the queue first, history second, as ComfyUI moves prompts in one step. */
import type { ComfyHttp } from '../../comfyui/http.ts';
import { type HttpFailure, nobodyListens } from '../../comfyui/http-failure.ts';
import type { Sighting } from './verdict.ts';

export interface Sight {
  readonly sighting: Sighting;
  /** The client id its messages go to, where the queue tells. */
  readonly clientId: string | null;
}

const HISTORY_DEADLINE_MS = 10_000;

type Wire = Pick<ComfyHttp, 'getQueue' | 'getHistoryEntry'>;

/** `deadlineMs`: of the question to the queue. */
export async function look(
  http: Wire,
  promptId: string,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<Sight> {
  const queue = await http.getQueue({ deadlineMs, signal });
  if (!queue.ok) return { sighting: unanswered(queue), clientId: null };
  const mine = (item: { promptId: string }): boolean => item.promptId === promptId;
  const { running, pending } = queue.value;
  const line = [...running, ...pending];
  const place = line.findIndex(mine);
  const item = line[place];
  if (item) {
    const runs = place < running.length;
    // pending ones are in run order, so whatever stands before it in the line must go first
    return { sighting: { kind: 'queued', running: runs, ahead: runs ? 0 : place }, clientId: item.clientId };
  }
  return { sighting: await lookInHistory(http, promptId, signal), clientId: null };
}

/** `absent` says only that history has no entry yet. */
export async function lookInHistory(
  http: Pick<Wire, 'getHistoryEntry'>,
  promptId: string,
  signal: AbortSignal,
): Promise<Sighting> {
  const entry = await http.getHistoryEntry(promptId, { deadlineMs: HISTORY_DEADLINE_MS, signal });
  if (!entry.ok) return unanswered(entry);
  return entry.value ? { kind: 'ended', entry: entry.value } : { kind: 'absent' };
}

function unanswered(failure: HttpFailure): Sighting {
  return nobodyListens(failure) ? { kind: 'refused' } : { kind: 'silent' };
}
