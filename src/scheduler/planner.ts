/**
 * Who runs what next: a pure function over a snapshot. Order of the jobs: priority, then arrival. Each goes to the least
 * loaded instance that is up, has a free place and has what the job needs; equals take turns. A job that cannot
 * go never holds up jobs with other needs.
 */
import type { Needs } from '../domain/capabilities.ts';
import { assert } from '../lib/assert.ts';
import type { PendingJob } from '../store/jobs.ts';
import { blockedReason } from './blocked-reason.ts';
import { type Candidate, isAble, isUp } from './candidate.ts';
import type { PendingQueue } from './pending-queue.ts';

export interface PlanState {
  readonly pending: PendingQueue;
  /** Needs of every class that has a job in `pending`. */
  readonly needs: ReadonlyMap<string, Needs>;
  readonly candidates: readonly Candidate[];
  /** Jobs that may run at once in the whole fleet; null for as many as there are places. */
  readonly maxConcurrentJobs: number | null;
  /** Whose turn it is among equals: an index into `candidates`; comes back in the plan. */
  readonly cursor: number;
}

export interface Assignment {
  readonly jobId: string;
  readonly instanceId: string;
  readonly slot: number;
}

export interface Plan {
  readonly assignments: readonly Assignment[];
  /** For each class that still has a job waiting: why, or null when it merely waits its turn. */
  readonly blocked: ReadonlyMap<string, string | null>;
  readonly cursor: number;
}

/** One instance while a plan is made: its free places shrink, its load grows. */
interface Seat {
  readonly candidate: Candidate;
  readonly index: number;
  readonly freeSlots: number[];
  busy: number;
}

export function plan(state: PlanState, now: number): Plan {
  const seats = seatsOf(state.candidates);
  const assignments: Assignment[] = [];
  const left = new Map<string, number>();
  const stuck = new Set<string>();
  const walk = state.pending.walk();
  let room = roomLeft(state);
  let { cursor } = state;
  while (room > 0 && seats.some((seat) => seat.freeSlots.length > 0)) {
    const job = walk.peek(stuck);
    if (!job) break;
    assert(job.notBefore <= now, 'only due jobs stand in line');
    const seat = bestSeat(seats, job, needsOf(state, job.needsKey), cursor);
    if (!seat) {
      stuck.add(job.needsKey);
      continue;
    }
    walk.pass(job);
    left.set(job.needsKey, (left.get(job.needsKey) ?? 0) + 1);
    assignments.push({ jobId: job.id, instanceId: seat.candidate.id, slot: sitDown(seat) });
    cursor = (seat.index + 1) % seats.length;
    room--;
  }
  const behind = state.pending.classes().filter((key) => state.pending.waiting(key) > (left.get(key) ?? 0));
  const blocked = behind.map(
    (key) => [key, blockedReason(key, needsOf(state, key), state.candidates)] as const,
  );
  return { assignments, blocked: new Map(blocked), cursor };
}

function roomLeft(state: PlanState): number {
  const running = state.candidates.reduce((sum, candidate) => sum + candidate.takenSlots.length, 0);
  return state.maxConcurrentJobs === null ? Number.POSITIVE_INFINITY : state.maxConcurrentJobs - running;
}

function seatsOf(candidates: readonly Candidate[]): Seat[] {
  return candidates.map((candidate, index) => ({
    candidate,
    index,
    freeSlots: isUp(candidate) && !candidate.draining ? freeSlots(candidate) : [],
    busy: candidate.takenSlots.length + candidate.foreignPrompts,
  }));
}

/** Lowest first. A capacity that was lowered may leave more open attempts than places. */
function freeSlots(candidate: Candidate): number[] {
  const free = Math.max(0, candidate.capacity - candidate.takenSlots.length);
  return Array.from({ length: candidate.capacity }, (_, slot) => slot)
    .filter((slot) => !candidate.takenSlots.includes(slot))
    .slice(0, free);
}

function bestSeat(seats: readonly Seat[], job: PendingJob, needs: Needs, cursor: number): Seat | null {
  const turn = (seat: Seat): number => (seat.index - cursor + seats.length) % seats.length;
  const order = (a: Seat, b: Seat): number => load(a) - load(b) || doubt(a) - doubt(b) || turn(a) - turn(b);
  const able = seats.filter(
    (seat) => seat.freeSlots.length > 0 && isAble(seat.candidate, job.needsKey, needs),
  );
  return able.reduce<Seat | null>((best, seat) => (best && order(best, seat) <= 0 ? best : seat), null);
}

function load(seat: Seat): number {
  return seat.busy / seat.candidate.capacity;
}

function doubt(seat: Seat): number {
  return seat.candidate.health === 'HEALTHY' ? 0 : 1;
}

function sitDown(seat: Seat): number {
  const slot = seat.freeSlots.shift();
  assert(slot !== undefined, 'a chosen seat has a free slot');
  seat.busy++;
  return slot;
}

const NEEDS_NOTHING: Needs = { nodeTypes: [], models: [] };

/** A class whose needs are not loaded is sent to whoever is free: the instance itself then says what is missing. */
function needsOf(state: PlanState, needsKey: string): Needs {
  return state.needs.get(needsKey) ?? NEEDS_NOTHING;
}
