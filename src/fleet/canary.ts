/**
 * Runs one canary: posts it and asks until it has ended; no socket is needed for that. It has its own prompt id and a
 * client id that nobody listens to, waits its turn behind the prompts of others, and takes itself off the instance again.
 */
import { cancelPrompt } from '../comfyui/cancel.ts';
import { decideEnd, type HistoryEntry } from '../comfyui/history.ts';
import type { ComfyHttp } from '../comfyui/http.ts';
import { type HttpFailure, shorten } from '../comfyui/http-failure.ts';
import type { PromptReply } from '../comfyui/prompt-reply.ts';
import type { Queue } from '../comfyui/queue.ts';
import { type Clock, pause } from '../lib/clock.ts';
import type { JsonObject } from '../lib/json.ts';

export interface Canary {
  readonly promptId: string;
  readonly clientId: string;
  readonly graph: JsonObject;
  readonly tag: JsonObject;
  /** It must have ended this long after nothing stood before it, in ms. */
  readonly timeoutMs: number;
}

export type CanaryOutcome =
  | { readonly kind: 'passed' }
  /** One line for a person. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** A prompt of somebody else ran for so long that its turn did not come. */
  | { readonly kind: 'no-turn' }
  /** It says nothing about the instance: that went away, somebody took the prompt out, or the owner gave it up. */
  | { readonly kind: 'undecided' };

export interface CanaryParts {
  readonly http: ComfyHttp;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** A prompt of somebody else that runs may take its time; nobody but its owner can see how far it is. */
const RUNNING_PATIENCE_MS = 600_000;
/** Known nowhere: taken out of the queue by somebody, or forgotten in a restart. */
const VANISHED_MS = 2000;
const CALL_DEADLINE_MS = 3000;
const CLEAN_UP_MS = 3000;
const UNDECIDED: CanaryOutcome = { kind: 'undecided' };
const LATE: CanaryOutcome = failed('the canary did not end in time');
/** Nothing listens there any more, so there is nothing to clean up either. */
const GONE: CanaryOutcome = { kind: 'undecided' };

export async function runCanary(parts: CanaryParts, canary: Canary): Promise<CanaryOutcome> {
  const { http, signal } = parts;
  const { promptId, clientId, graph, tag, timeoutMs } = canary;
  const submission = { promptId, clientId, prompt: graph, extraData: tag };
  const reply = await http.postPrompt(submission, { deadlineMs: timeoutMs, signal });
  const outcome = refusal(reply) ?? (await follow(parts, canary));
  if (!signal.aborted && outcome !== GONE) await cleanUp(parts, promptId, outcome);
  return outcome;
}

/** Null when the prompt was queued, or may have been. */
function refusal(reply: PromptReply): CanaryOutcome | null {
  switch (reply.kind) {
    case 'accepted':
      return null;
    case 'ambiguous':
      return reply.failure.reason === 'aborted' ? GONE : null;
    case 'acceptedWithNodeErrors':
      return failed('the canary was accepted only in part');
    case 'rejected':
      return failed(`the canary was refused: ${reply.error.message}`);
    case 'refused':
      return reply.failure.reason === 'refused'
        ? GONE
        : failed(`the canary was answered with ${reply.failure.message}`);
  }
}

/** What is known of its turn: when it last moved up, what stood before it then, and what it means if that stays so. */
interface Turn {
  readonly since: number;
  readonly before: string;
  readonly patienceMs: number;
  readonly meaning: CanaryOutcome;
}

async function follow({ http, clock, signal }: CanaryParts, canary: Canary): Promise<CanaryOutcome> {
  const call = { deadlineMs: CALL_DEADLINE_MS, signal };
  let turn: Turn = { since: clock.monotonic(), before: '', patienceMs: canary.timeoutMs, meaning: LATE };
  for (let looks = 0; ; looks++) {
    const queue = await http.getQueue(call);
    if (signal.aborted || isGone(queue)) return GONE;
    const before = queue.ok ? standsBefore(queue.value, canary.promptId) : null;
    if (queue.ok && before === null) {
      const entry = await http.getHistoryEntry(canary.promptId, call);
      if (signal.aborted || isGone(entry)) return GONE;
      if (entry.ok && entry.value) return judged(entry.value);
      turn = entry.ok
        ? moved(turn, 'nowhere', Math.min(VANISHED_MS, canary.timeoutMs), UNDECIDED, clock)
        : moved(turn, 'unknown', canary.timeoutMs, LATE, clock);
    } else if (before !== null) {
      const place = `${before.running} ${before.pending}`;
      turn =
        before.running === ''
          ? moved(turn, place, canary.timeoutMs, LATE, clock)
          : moved(turn, place, RUNNING_PATIENCE_MS, { kind: 'no-turn' }, clock);
    }
    if (clock.monotonic() - turn.since >= turn.patienceMs) return turn.meaning;
    if (!(await pause(clock, Math.min(1000, 50 * 2 ** Math.min(looks, 5)), signal))) return UNDECIDED;
  }
}

function moved(turn: Turn, before: string, patienceMs: number, meaning: CanaryOutcome, clock: Clock): Turn {
  return before === turn.before ? turn : { since: clock.monotonic(), before, patienceMs, meaning };
}

/** What must end before it begins; null when it is not in the queue. */
function standsBefore(queue: Queue, promptId: string): { running: string; pending: number } | null {
  if (queue.running.some((item) => item.promptId === promptId)) return { running: '', pending: 0 };
  const pending = queue.pending.findIndex((item) => item.promptId === promptId);
  if (pending < 0) return null;
  return { running: queue.running.map((item) => item.promptId).join(' '), pending };
}

/** Nothing listens there: the process is gone, and what comes next is another one. */
function isGone(result: { readonly ok: true } | HttpFailure): boolean {
  return !result.ok && result.reason === 'refused';
}

function judged(entry: HistoryEntry): CanaryOutcome {
  const end = decideEnd(entry);
  switch (end.kind) {
    case 'succeeded':
      return { kind: 'passed' };
    case 'interrupted':
      return UNDECIDED;
    case 'failed':
      return failed(`the canary failed: ${shorten(`${end.exceptionType}: ${end.message}`)}`);
    case 'unknown':
      return failed('the canary ended without saying how');
  }
}

function failed(reason: string): CanaryOutcome {
  return { kind: 'failed', reason };
}

/** Leaves no prompt and no record behind where that is possible; what stays is swept later. */
async function cleanUp({ http, clock, signal }: CanaryParts, promptId: string, outcome: CanaryOutcome) {
  const options = { promptId, clock, withinMs: CLEAN_UP_MS, signal };
  if (outcome.kind !== 'passed') await cancelPrompt(http, options);
  await http.deleteFromHistory([promptId], { deadlineMs: CALL_DEADLINE_MS, signal });
}
