/**
 * Who runs what next: a pure function over a snapshot. Order of the jobs: priority, then fair turns between tenants, then
 * arrival. Each goes to the least loaded instance that is up, has a free place and has what the job needs; equals take
 * turns. A job that cannot go never holds up jobs of other lanes.
 */
import type { Needs } from '../domain/capabilities.ts';
import type { LimitsOf } from '../domain/tenant-limits.ts';
import { blockedReason, isolationReason, retriesReason, storageReason } from './blocked-reason.ts';
import type { Candidate } from './candidate.ts';
import type { Estimates } from './estimates.ts';
import { FairShare, type Shares } from './fair-share.ts';
import { fullNameOf, type Lane } from './lane.ts';
import type { PendingQueue, Turn } from './pending-queue.ts';
import { mayRetry, type RecentDispatches } from './retry-budget.ts';
import { bestSeat, reserveFor, type Seat, seatsOf, sitDown } from './seats.ts';

export interface PlanState {
  readonly pending: PendingQueue;
  /** Needs of every class that has a job in `pending`. */
  readonly needs: ReadonlyMap<string, Needs>;
  readonly candidates: readonly Candidate[];
  /** Jobs that may run at once in the whole fleet; null for as many as there are places. */
  readonly maxConcurrentJobs: number | null;
  /** Most repeated attempts among the recent dispatches, in percent. */
  readonly retryBudgetPercent: number;
  readonly recent: RecentDispatches;
  /** Jobs that take files cannot start. */
  readonly storageAway: boolean;
  /** Whose turn it is among equal instances: an index into `candidates`; comes back in the plan. */
  readonly cursor: number;
  /** Whose turn it is among tenants; comes back in the plan. */
  readonly shares: Shares;
  /** A waiting job counts as one priority higher for each such time it has waited, in ms. */
  readonly ageingMs: number;
  readonly limitsOf: LimitsOf;
  /** Jobs that run now, by tenant; tenants without any are absent. */
  readonly running: ReadonlyMap<string, number>;
  readonly estimates: Estimates;
}

export interface Assignment {
  readonly jobId: string;
  readonly instanceId: string;
  readonly slot: number;
  /** Counts against the retry budget. */
  readonly isRetry: boolean;
  /** Jobs that could have gone there, and whose turn was before. */
  readonly overtakes: readonly string[];
}

export interface Plan {
  readonly assignments: readonly Assignment[];
  /** For each class that still has a job waiting: why, or null when one of them merely waits its turn. */
  readonly blocked: ReadonlyMap<string, string | null>;
  /** The same of single lanes, by full name; those that merely wait their turn are absent. */
  readonly held: ReadonlyMap<string, string>;
  readonly cursor: number;
  readonly shares: Shares;
}

/** The plan while it is made. */
interface Draft {
  readonly seats: readonly Seat[];
  readonly share: FairShare;
  readonly recent: { all: number; retries: number };
  readonly assignments: Assignment[];
  /** How many of each lane go. */
  readonly going: Map<Lane, number>;
  room: number;
  cursor: number;
}

export function plan(state: PlanState, now: number): Plan {
  const { pending, cursor } = state;
  const draft: Draft = {
    seats: seatsOf(state.candidates),
    share: new FairShare(state.shares),
    recent: { ...state.recent },
    assignments: [],
    going: new Map(),
    room: roomLeft(state),
    cursor,
  };
  placeAll(state, draft, now);
  const { going, assignments, recent, share } = draft;
  const behind = pending.lanes().filter((lane) => pending.waiting(lane) > (going.get(lane) ?? 0));
  return {
    assignments,
    ...reasonsOf(state, behind, recent),
    cursor: draft.cursor,
    shares: share.result(),
  };
}

function placeAll(state: PlanState, draft: Draft, now: number): void {
  const { seats, share, recent } = draft;
  const walk = state.pending.walk();
  const skipped = new Set<Lane>();
  let reserved = false;
  while (draft.room > 0 && seats.some((seat) => seat.freeSlots.length > 0)) {
    const turn = walk.peek(skipped, share.between);
    if (!turn) return;
    const { job, lane } = turn;
    const wish = { ...turn, needs: needsOf(state, job.needsKey), now };
    const isHeld =
      (lane.isRetry && !mayRetry(recent, state.retryBudgetPercent)) || (lane.takesFiles && state.storageAway);
    const seat = isHeld ? null : bestSeat(seats, wish, draft.cursor);
    if (seat) {
      walk.pass(turn);
      place(draft, turn, seat);
    } else {
      skipped.add(lane);
      // one at a time: a second one would keep a second instance from working
      if (!isHeld && lane.isSuspect && !reserved) reserved = reserveFor(seats, wish);
    }
  }
}

function place(draft: Draft, turn: Turn, seat: Seat): void {
  const { job, lane } = turn;
  const { seats, share, recent, assignments, going } = draft;
  going.set(lane, (going.get(lane) ?? 0) + 1);
  const slot = sitDown(seat, turn);
  assignments.push({
    jobId: job.id,
    instanceId: seat.candidate.id,
    slot,
    isRetry: lane.isRetry,
    overtakes: [],
  });
  share.dispatched(job);
  recent.all++;
  if (lane.isRetry) recent.retries++;
  draft.cursor = (seat.index + 1) % seats.length;
  draft.room--;
}

function roomLeft(state: PlanState): number {
  const running = state.candidates.reduce((sum, candidate) => sum + candidate.takenSlots.length, 0);
  return state.maxConcurrentJobs === null ? Number.POSITIVE_INFINITY : state.maxConcurrentJobs - running;
}

/** Why the lanes are left behind. A class waits for a reason only when all of its lanes do. */
function reasonsOf(
  state: PlanState,
  behind: readonly Lane[],
  recent: RecentDispatches,
): Pick<Plan, 'blocked' | 'held'> {
  const ofClass = new Map<string, string | null>();
  const ofLanes = new Map<string, Set<string | null>>();
  const held = new Map<string, string>();
  for (const lane of behind) {
    const { needsKey } = lane;
    const needs = needsOf(state, needsKey);
    const known = ofClass.get(needsKey);
    const whole = known === undefined ? blockedReason(needsKey, needs, state.candidates) : known;
    ofClass.set(needsKey, whole);
    const reason =
      whole ??
      storageReason(lane, state.storageAway) ??
      retriesReason(lane, recent, state.retryBudgetPercent) ??
      isolationReason(lane, needs, state.candidates);
    if (reason !== null) held.set(fullNameOf(lane), reason);
    const others = ofLanes.get(needsKey);
    if (others) others.add(reason);
    else ofLanes.set(needsKey, new Set([reason]));
  }
  const joined = (reasons: ReadonlySet<string | null>): string | null =>
    reasons.has(null) ? null : [...reasons].sort().join('; ');
  return {
    held,
    blocked: new Map([...ofLanes].map(([needsKey, reasons]) => [needsKey, joined(reasons)])),
  };
}

const NEEDS_NOTHING: Needs = { nodeTypes: [], models: [] };

/** A class whose needs are not loaded is sent to whoever is free: the instance itself then says what is missing. */
function needsOf(state: PlanState, needsKey: string): Needs {
  return state.needs.get(needsKey) ?? NEEDS_NOTHING;
}
