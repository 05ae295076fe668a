/**
 * Whether an instance may be given jobs, from what the jobs and the canary said of it. Pure.
 *
 *   CLOSED ── a fault ──▶ HALF_OPEN ── canary works ──▶ CLOSED
 *     │                       └── canary fails ──▶ OPEN ── its time is over, or it was restarted ──▶ HALF_OPEN
 *     └── BREAKER_THRESHOLD faults without a success in between ──▶ OPEN ── its time is over ──▶ HALF_OPEN
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
  /** Nothing happened but time. */
  | { readonly kind: 'time' };

export interface BreakerRecord {
  readonly state: BreakerState;
  /** One line; null while CLOSED. */
  readonly reason: string | null;
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
  /** OPEN because canaries do not show what is wrong: a restart proves nothing. */
  readonly byStrikes: boolean;
}

export interface BreakerTuning {
  readonly threshold: number;
  /** The first time it is OPEN, in ms; doubled each time. */
  readonly openMs: number;
}

export interface BreakerMoment {
  /** Monotonic ms. */
  readonly now: number;
  /** Enough of the fleet is left: quick failures everywhere are bad jobs, and must not put all instances aside. */
  readonly spare: boolean;
  /** Numbers in [0, 1). */
  readonly random: () => number;
}

export const LONGEST_OPEN_MS = 600_000;
const JITTER = 0.2;
const FORGIVEN_AFTER_MS = 600_000;

/** What an earlier process said of it: one that was put aside is tried first. */
export function initialBreaker(stored: BreakerState, now: number): BreakerRecord {
  const isAside = stored !== 'CLOSED';
  return {
    state: isAside ? 'HALF_OPEN' : 'CLOSED',
    reason: isAside ? 'it was put aside before the gateway was restarted' : null,
    strikes: 0,
    quickFailureOf: null,
    openings: 0,
    since: now,
    openUntil: null,
    byStrikes: false,
  };
}

export function nextBreaker(
  record: BreakerRecord,
  event: BreakerEvent,
  moment: BreakerMoment,
  tuning: BreakerTuning,
): BreakerRecord {
  switch (event.kind) {
    case 'success':
      return { ...record, strikes: 0, quickFailureOf: null };
    case 'fault':
      return afterFault(record, event.reason, true, moment, tuning);
    case 'quick-failure':
      return afterQuickFailure(record, event, moment, tuning);
    case 'canary-passed':
      return record.state === 'HALF_OPEN' ? closed(record, moment.now) : record;
    case 'canary-failed':
      return record.state === 'HALF_OPEN' ? opened(record, event.reason, false, moment, tuning) : record;
    case 'comeback':
      return record.state === 'OPEN' && !record.byStrikes
        ? halfOpen(record, record.reason, moment.now)
        : record;
    case 'time':
      return record.openUntil !== null && moment.now >= record.openUntil
        ? halfOpen(record, record.reason, moment.now)
        : record;
  }
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
  return afterFault(
    record,
    `two jobs in a row failed at once: ${event.reason}`,
    moment.spare,
    moment,
    tuning,
  );
}

function afterFault(
  record: BreakerRecord,
  reason: string,
  mayOpen: boolean,
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
  return mayOpen && struck.strikes >= tuning.threshold
    ? opened(struck, reason, true, moment, tuning)
    : halfOpen(struck, reason, moment.now);
}

function closed(record: BreakerRecord, now: number): BreakerRecord {
  return { ...record, state: 'CLOSED', reason: null, since: now, openUntil: null, byStrikes: false };
}

function halfOpen(record: BreakerRecord, reason: string | null, now: number): BreakerRecord {
  return { ...record, state: 'HALF_OPEN', reason, since: now, openUntil: null, byStrikes: false };
}

function opened(
  record: BreakerRecord,
  reason: string,
  byStrikes: boolean,
  { now, random }: BreakerMoment,
  tuning: BreakerTuning,
): BreakerRecord {
  const openMs = Math.min(LONGEST_OPEN_MS, tuning.openMs * 2 ** Math.min(record.openings, 30));
  return {
    ...record,
    state: 'OPEN',
    reason,
    openings: record.openings + 1,
    since: now,
    openUntil: now + openMs * (1 - JITTER + 2 * JITTER * random()),
    byStrikes,
  };
}

/** Why it gets no jobs, one line; null when it may have some. */
export function whyAside(record: BreakerRecord): string | null {
  switch (record.state) {
    case 'CLOSED':
      return null;
    case 'HALF_OPEN':
      return `gets no jobs until a canary passes: ${record.reason}`;
    case 'OPEN':
      return `put aside for a while: ${record.reason}`;
  }
}
