/**
 * Whether an instance may be given jobs, from what the jobs and the canary said of it. Pure.
 *
 *   CLOSED ── a fault ──▶ HALF_OPEN ── canary works ──▶ CLOSED, with care until some jobs have succeeded
 *     │                       └── canary fails ──▶ OPEN ── its time is over, or it was restarted ──▶ HALF_OPEN
 *     └── BREAKER_THRESHOLD faults without a success in between ──▶ OPEN ── its time is over ──▶ HALF_OPEN
 *
 * What nobody but jobs says (they fail at once, or one after the other although canaries pass) puts it aside softly: only
 * while the fleet can spare it, see ejections.ts. Else it stays CLOSED under doubt, and a canary is sent beside its jobs. A
 * fault of its own (it crashed, lost its graphics card, does not start what it took) and a failed canary ask nobody.
 *
 * Jobs start while it is CLOSED and only then, so faults told later belong to what is known already: they add nothing.
 */
import type { BreakerState } from '../domain/instance.ts';

/** What a job, or the scheduler on its behalf, has to say about an instance. */
export type Experience =
  /** A job ran to its end on it. */
  | { readonly kind: 'success' }
  /** The instance is to blame, or may be: it crashed, stalled, lost its GPU, its disk is full. One line for a person. */
  | { readonly kind: 'fault'; readonly reason: string }
  /** A node failed within 2 s: nothing by itself, but two in a row of different jobs are a fault. */
  | { readonly kind: 'quick-failure'; readonly jobId: string; readonly reason: string };

export type BreakerEvent =
  | Experience
  | { readonly kind: 'canary-passed' }
  | { readonly kind: 'canary-failed'; readonly reason: string }
  /** It answers again after it had not: it may be another process by now. */
  | { readonly kind: 'comeback' }
  /** The fleet cannot do without it any more. */
  | { readonly kind: 'needed' }
  /** Nothing happened but time. */
  | { readonly kind: 'time' };

export interface BreakerRecord {
  readonly state: BreakerState;
  /** One line; null while CLOSED. */
  readonly reason: string | null;
  /** Aside for what only jobs say. A restart proves nothing then. */
  readonly soft: boolean;
  /** CLOSED only because the fleet could not spare it: what spoke against it, until a canary has answered. */
  readonly doubt: string | null;
  /** Jobs that must succeed before it is used like any other again, unless much time passes; 0 for one that is. */
  readonly trial: number;
  /** Faults since the last success. */
  readonly strikes: number;
  /** The job whose quick failure was the last thing heard; null when it was something else. */
  readonly quickFailureOf: string | null;
  /** How often it was opened, less what was forgiven. */
  readonly openings: number;
  /** When the present state began, monotonic ms. */
  readonly since: number;
  /** When it is tried again, monotonic ms; null unless OPEN. */
  readonly openUntil: number | null;
}

export interface BreakerTuning {
  readonly threshold: number;
  /** The first time it is OPEN, in ms; doubled each time. */
  readonly openMs: number;
}

export interface BreakerMoment {
  /** Monotonic ms. */
  readonly now: number;
  /** It may be put aside softly; asked only when it is about to be. */
  readonly spare: () => boolean;
  /** Numbers in [0, 1). */
  readonly random: () => number;
}

export const LONGEST_OPEN_MS = 600_000;
const JITTER = 0.2;
const FORGIVEN_AFTER_MS = 600_000;
const TRIAL_JOBS = 3;
/** It may never be given a job that succeeds: nobody sends any, or they last for hours. */
const LONGEST_TRIAL_MS = 600_000;

/** What an earlier process said of it: one that was put aside is tried first. */
export function initialBreaker(stored: BreakerState, now: number): BreakerRecord {
  const isAside = stored !== 'CLOSED';
  return {
    state: isAside ? 'HALF_OPEN' : 'CLOSED',
    reason: isAside ? 'it was put aside before the gateway was restarted' : null,
    soft: false,
    doubt: null,
    trial: 0,
    strikes: 0,
    quickFailureOf: null,
    openings: 0,
    since: now,
    openUntil: null,
  };
}

export function nextBreaker(
  record: BreakerRecord,
  event: BreakerEvent,
  moment: BreakerMoment,
  tuning: BreakerTuning,
): BreakerRecord {
  const { state, soft } = record;
  switch (event.kind) {
    case 'success':
      return { ...record, strikes: 0, quickFailureOf: null, trial: Math.max(0, record.trial - 1) };
    case 'fault':
      return afterFault(record, event.reason, 'certain', moment, tuning);
    case 'quick-failure':
      return afterQuickFailure(record, event, moment, tuning);
    case 'canary-passed':
      if (state === 'HALF_OPEN') return { ...closed(record, moment.now), trial: TRIAL_JOBS };
      return { ...record, doubt: null };
    case 'canary-failed':
      return isTested(record) ? opened(record, event.reason, false, moment, tuning) : record;
    case 'comeback':
      return state === 'OPEN' && !soft ? halfOpen(record, record.reason, soft, moment.now) : record;
    case 'needed':
      return soft ? { ...closed(record, moment.now), doubt: record.reason } : record;
    case 'time':
      return record.openUntil !== null && moment.now >= record.openUntil
        ? halfOpen(record, record.reason, soft, moment.now)
        : record;
  }
}

/** Its next canary decides something. */
export function isTested({ state, doubt }: BreakerRecord): boolean {
  return state === 'HALF_OPEN' || doubt !== null;
}

/** It was put aside until lately, and is used with care. */
export function isOnTrial({ trial, since }: BreakerRecord, now: number): boolean {
  return trial > 0 && now - since < LONGEST_TRIAL_MS;
}

function afterQuickFailure(
  record: BreakerRecord,
  event: Extract<Experience, { kind: 'quick-failure' }>,
  moment: BreakerMoment,
  tuning: BreakerTuning,
): BreakerRecord {
  if (record.state !== 'CLOSED') return record;
  const { quickFailureOf } = record;
  if (quickFailureOf === null || quickFailureOf === event.jobId) {
    return { ...record, quickFailureOf: event.jobId };
  }
  const reason = `two jobs in a row failed at once: ${event.reason}`;
  return afterFault(record, reason, 'said by jobs', moment, tuning);
}

function afterFault(
  record: BreakerRecord,
  reason: string,
  evidence: 'certain' | 'said by jobs',
  moment: BreakerMoment,
  tuning: BreakerTuning,
): BreakerRecord {
  if (record.state !== 'CLOSED') return record;
  const forgiven = Math.floor((moment.now - record.since) / FORGIVEN_AFTER_MS);
  const struck: BreakerRecord = {
    ...record,
    strikes: record.strikes + 1,
    quickFailureOf: null,
    openings: Math.max(0, record.openings - forgiven),
  };
  const isOften = struck.strikes >= tuning.threshold;
  const isSoft = evidence === 'said by jobs';
  if ((isOften || isSoft) && moment.spare()) {
    return isOften
      ? opened(struck, reason, true, moment, tuning)
      : halfOpen(struck, reason, true, moment.now);
  }
  return isSoft ? { ...struck, doubt: reason } : halfOpen(struck, reason, false, moment.now);
}

function closed(record: BreakerRecord, now: number): BreakerRecord {
  return { ...record, state: 'CLOSED', reason: null, soft: false, since: now, openUntil: null };
}

function halfOpen(record: BreakerRecord, reason: string | null, soft: boolean, now: number): BreakerRecord {
  return { ...aside(record), state: 'HALF_OPEN', reason, soft, since: now, openUntil: null };
}

function opened(
  record: BreakerRecord,
  reason: string,
  soft: boolean,
  { now, random }: BreakerMoment,
  tuning: BreakerTuning,
): BreakerRecord {
  const openMs = Math.min(LONGEST_OPEN_MS, tuning.openMs * 2 ** Math.min(record.openings, 30));
  return {
    ...aside(record),
    state: 'OPEN',
    reason,
    soft,
    openings: record.openings + 1,
    since: now,
    openUntil: now + openMs * (1 - JITTER + 2 * JITTER * random()),
  };
}

function aside(record: BreakerRecord): BreakerRecord {
  return { ...record, doubt: null, trial: 0 };
}

/** What speaks against it, one line; null when nothing does. It gets jobs while it is CLOSED, whatever this says. */
export function remarkOn(record: BreakerRecord): string | null {
  switch (record.state) {
    case 'CLOSED':
      return record.doubt === null ? null : `still used, as too many are put aside: ${record.doubt}`;
    case 'HALF_OPEN':
      return `gets no jobs until a canary passes: ${record.reason}`;
    case 'OPEN':
      return `put aside for a while: ${record.reason}`;
  }
}
