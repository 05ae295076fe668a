/** The instances while one plan is made: their free places shrink and their load grows with every job that is placed. */
import type { Needs } from '../domain/capabilities.ts';
import { assert } from '../lib/assert.ts';
import type { PendingJob } from '../store/jobs.ts';
import { type Candidate, isAble, isOpen, promptsOn } from './candidate.ts';
import type { Turn } from './pending-queue.ts';

export interface Seat {
  readonly candidate: Candidate;
  readonly index: number;
  readonly freeSlots: number[];
  /** Prompts on it, those of others included. */
  busy: number;
}

export function seatsOf(candidates: readonly Candidate[]): Seat[] {
  return candidates.map((candidate, index) => ({
    candidate,
    index,
    freeSlots: isOpen(candidate) ? freeSlots(candidate) : [],
    busy: promptsOn(candidate),
  }));
}

/** Lowest first. A capacity that was lowered may leave more open attempts than places. */
function freeSlots(candidate: Candidate): number[] {
  const free = Math.max(0, candidate.capacity - candidate.takenSlots.length);
  return Array.from({ length: candidate.capacity }, (_, slot) => slot)
    .filter((slot) => !candidate.takenSlots.includes(slot))
    .slice(0, free);
}

/** A job that is to be placed; `now` in epoch ms. */
export interface Wish extends Turn {
  readonly needs: Needs;
  readonly now: number;
}

/** Another instance is worth waiting for this long, rather than failing twice in the same place. */
const AVOIDED_MS = 30_000;

/**
 * Where the job goes: not where its last attempt ended, if there is another place; then to the least loaded; a repeated
 * one to the largest memory among equals, as it may have lacked it; else equals take turns. Null: no able place is free,
 * none is empty as a suspect needs it, or only the one to avoid is.
 */
export function bestSeat(seats: readonly Seat[], wish: Wish, cursor: number): Seat | null {
  const { job, lane } = wish;
  const turn = (seat: Seat): number => (seat.index - cursor + seats.length) % seats.length;
  const order = (a: Seat, b: Seat): number =>
    wasThere(a, job) - wasThere(b, job) ||
    load(a) - load(b) ||
    doubt(a) - doubt(b) ||
    (job.attemptCount > 0 ? memory(b) - memory(a) : 0) ||
    turn(a) - turn(b);
  return placesFor(seats, wish)
    .filter((seat) => !lane.isSuspect || seat.busy === 0)
    .reduce<Seat | null>((best, seat) => (best && order(best, seat) <= 0 ? best : seat), null);
}

/** Gives the job a place; a suspect gets the whole instance. */
export function sitDown(seat: Seat, { lane }: Turn): number {
  const slot = seat.freeSlots.shift();
  assert(slot !== undefined, 'a chosen seat has a free slot');
  seat.busy++;
  if (lane.isSuspect) close(seat);
  return slot;
}

/**
 * Keeps the emptiest instance free of further jobs until a suspect can have it, else one with several places would never
 * be empty. Not one with prompts of others: nobody knows when those end. True when there is one to wait for.
 */
export function reserveFor(seats: readonly Seat[], wish: Wish): boolean {
  const [emptiest] = placesFor(seats, wish)
    .filter((seat) => seat.candidate.foreignPrompts === 0)
    .sort((a, b) => wasThere(a, wish.job) - wasThere(b, wish.job) || a.busy - b.busy || a.index - b.index);
  if (!emptiest) return false;
  close(emptiest);
  return true;
}

/** Free places of able instances, without the one to avoid while there is another that takes such jobs, busy or not. */
function placesFor(seats: readonly Seat[], { job, lane, needs, now }: Wish): Seat[] {
  const able = seats.filter(({ candidate }) => isOpen(candidate) && isAble(candidate, job.needsKey, needs));
  const free = able.filter((seat) => seat.freeSlots.length > 0);
  if (lane.avoids === null || now - job.notBefore >= AVOIDED_MS) return free;
  const others = (seat: Seat): boolean => seat.candidate.id !== lane.avoids;
  return able.some(others) ? free.filter(others) : free;
}

function close(seat: Seat): void {
  seat.freeSlots.length = 0;
}

function wasThere({ candidate }: Seat, job: PendingJob): number {
  return job.attemptCount > 0 && job.lastInstanceId === candidate.id ? 1 : 0;
}

function load(seat: Seat): number {
  return seat.busy / seat.candidate.capacity;
}

function doubt({ candidate }: Seat): number {
  return candidate.health === 'HEALTHY' ? 0 : 1;
}

function memory({ candidate }: Seat): number {
  return candidate.vramBytes ?? 0;
}
