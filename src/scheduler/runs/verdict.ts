/**
 * What looking an attempt's prompt up says about it, without any WebSocket. Pure. ComfyUI moves a prompt from its queue to
 * history under one lock, so whoever reads the queue first and history second cannot miss one that is known there.
 */
import type { HistoryEntry } from '../../comfyui/history.ts';

export type Sighting =
  /** In the instance's queue, waiting or running; `ahead`: prompts that it must still wait for, running ones included. */
  | { readonly kind: 'queued'; readonly running: boolean; readonly ahead: number }
  | { readonly kind: 'ended'; readonly entry: HistoryEntry }
  /** Neither in the queue nor in history. */
  | { readonly kind: 'absent' }
  /** Nobody listens at the address. */
  | { readonly kind: 'refused' }
  /** No usable answer: a timeout, a reset, a server error. */
  | { readonly kind: 'silent' };

/** What is remembered between two looks; times are monotonic ms. */
export interface LookMemory {
  readonly refusedSince: number | null;
  readonly silentSince: number | null;
  readonly absentSince: number | null;
  /** The instance could not be reached since the prompt was last seen, so it may have restarted and forgotten it. */
  readonly wasGone: boolean;
  /** Since when it has been seen waiting for nothing. */
  readonly readySince: number | null;
  /** Looks in a row without a change, for the growing pause. */
  readonly looks: number;
}

export const NOTHING_SEEN: LookMemory = {
  refusedSince: null,
  silentSince: null,
  absentSince: null,
  wasGone: false,
  readySince: null,
  looks: 0,
};

export interface Situation {
  /** Monotonic ms. */
  readonly now: number;
  /** When its instance last told anything of it, over the socket or asked; monotonic ms. */
  readonly heardAt: number;
  /** The answer to the POST is not known, so the prompt may still be on its way; its age in ms, else null. */
  readonly unansweredForMs: number | null;
  /** The POST was answered with an error: had it been queued all the same, it would be there at once. */
  readonly answeredBadly: boolean;
  /** Its socket said that the run is over, so history must come. */
  readonly endSeen: boolean;
  /** How far it may have come, by all that was seen and heard: decides what its loss says about the job. */
  readonly reached: Reached;
}

/**
 * `waiting`: behind others, or nobody knows. `maybe-running`: nothing kept it from running. `running`: it did. `over`:
 * its history could be read, so whatever happened next was not its doing.
 */
export type Reached = 'waiting' | 'maybe-running' | 'running' | 'over';

export interface VerdictLimits {
  readonly submitGraceMs: number;
  readonly refusedLostMs: number;
  readonly unreachableLostMs: number;
  readonly stalledStartMs: number;
}

export type LossCode = 'INSTANCE_LOST' | 'INSTANCE_CRASHED' | 'INSTANCE_UNREACHABLE';

export type Verdict =
  | { readonly kind: 'alive' }
  | { readonly kind: 'ended'; readonly entry: HistoryEntry }
  | { readonly kind: 'lost'; readonly code: LossCode; readonly reason: string }
  /** Nothing is ahead of it and yet it does not start: the worker behind a healthy HTTP face is dead. */
  | { readonly kind: 'stalled' }
  /** Look again after so many ms. */
  | { readonly kind: 'wait'; readonly ms: number };

/** Prompts that ended normally are in history at once; a late one gets this long, unless a restart explains its absence. */
const ABSENT_LOST_MS = 6000;
const ABSENT_AFTER_END_LOST_MS = 10_000;
const FORGOTTEN_LOST_MS = 200;
/** Silence is counted from what was heard last; but one that was asked a moment ago may not have had the time to answer. */
const LEAST_SILENCE_MS = 10_000;
/** Its history may just be written; but an instance that was away has most likely lost it. */
const FORGOTTEN_AFTER_END_LOST_MS = 1000;

export function judge(
  memory: LookMemory,
  sighting: Sighting,
  situation: Situation,
  limits: VerdictLimits,
): Judged {
  const { now } = situation;
  switch (sighting.kind) {
    case 'queued':
      return queued(memory, sighting, now, limits);
    case 'ended':
      return { memory: NOTHING_SEEN, verdict: { kind: 'ended', entry: sighting.entry } };
    case 'absent':
      return absent(memory, situation, limits);
    case 'refused': {
      const since = memory.refusedSince ?? now;
      const gone = { ...again(memory), refusedSince: since, absentSince: null, wasGone: true };
      return now - since >= limits.refusedLostMs
        ? lost(gone, whileRunning(situation, 'INSTANCE_CRASHED'), 'the instance refused connections')
        : { memory: gone, verdict: { kind: 'wait', ms: 1000 } };
    }
    case 'silent': {
      const since = memory.silentSince ?? now;
      const mute = { ...again(memory), silentSince: since, absentSince: null, wasGone: true };
      const least = Math.min(LEAST_SILENCE_MS, limits.unreachableLostMs);
      const left = Math.max(situation.heardAt + limits.unreachableLostMs, since + least) - now;
      return left <= 0
        ? lost(mute, whileRunning(situation, 'INSTANCE_UNREACHABLE'), 'the instance did not answer')
        : { memory: mute, verdict: { kind: 'wait', ms: Math.min(1000, left) } };
    }
  }
}

type Judged = { readonly memory: LookMemory; readonly verdict: Verdict };

function queued(
  memory: LookMemory,
  { running, ahead }: Extract<Sighting, { kind: 'queued' }>,
  now: number,
  limits: VerdictLimits,
): Judged {
  const readySince = running || ahead > 0 ? null : (memory.readySince ?? now);
  const stalled = readySince !== null && now - readySince >= limits.stalledStartMs;
  return {
    memory: { ...NOTHING_SEEN, readySince },
    verdict: stalled ? { kind: 'stalled' } : { kind: 'alive' },
  };
}

function absent(memory: LookMemory, situation: Situation, limits: VerdictLimits): Judged {
  const since = memory.absentSince ?? situation.now;
  const seen = { ...again(memory), refusedSince: null, silentSince: null, absentSince: since };
  const unanswered = situation.unansweredForMs;
  if (unanswered !== null && unanswered < limits.submitGraceMs) {
    return { memory: seen, verdict: { kind: 'wait', ms: Math.min(1000, limits.submitGraceMs - unanswered) } };
  }
  const patience = patienceWithAbsence(memory, situation);
  // one look is never proof: the prompt may be between two states of a server that is not quite as observed
  if (memory.absentSince !== null && situation.now - since >= patience) {
    return lost(seen, codeOfForgotten(memory, situation), 'the instance forgot the job');
  }
  return {
    memory: seen,
    verdict: { kind: 'wait', ms: Math.min(1000, 50 * 2 ** Math.min(seen.looks - 1, 5)) },
  };
}

function patienceWithAbsence(memory: LookMemory, situation: Situation): number {
  if (situation.endSeen) return memory.wasGone ? FORGOTTEN_AFTER_END_LOST_MS : ABSENT_AFTER_END_LOST_MS;
  const mayBeGone = memory.wasGone || situation.unansweredForMs !== null || situation.answeredBadly;
  return mayBeGone ? FORGOTTEN_LOST_MS : ABSENT_LOST_MS;
}

function whileRunning(situation: Situation, code: LossCode): LossCode {
  const { reached } = situation;
  return reached === 'running' || reached === 'maybe-running' ? code : 'INSTANCE_LOST';
}

/** A running prompt vanishes only with its process, even when nobody saw that go; a waiting one can be deleted. */
function codeOfForgotten(memory: LookMemory, situation: Situation): LossCode {
  if (memory.wasGone) return whileRunning(situation, 'INSTANCE_CRASHED');
  return situation.reached === 'running' && !situation.endSeen ? 'INSTANCE_CRASHED' : 'INSTANCE_LOST';
}

function again(memory: LookMemory): LookMemory {
  return { ...memory, readySince: null, looks: memory.looks + 1 };
}

function lost(memory: LookMemory, code: LossCode, reason: string): Judged {
  return { memory, verdict: { kind: 'lost', code, reason } };
}
