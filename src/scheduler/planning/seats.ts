/**
 * The places while one plan is made: they shrink, and the load of instances grows, with every job that is placed. What can
 * be asked of many instances at once is: those with the same lists are one group, and those that hold a model are found by it.
 */
import type { Inventory, Needs } from '../../domain/capabilities.ts';
import { assert } from '../../lib/assert.ts';
import { type Candidate, isAble, isOpen, mayTakePartSoon, promptsOn } from './candidate.ts';
import type { Estimates } from './estimates.ts';
import type { Lane } from './lane.ts';
import type { Turn } from './pending-queue.ts';

/** An instance that had a free place when the plan began. */
export interface Seat {
  readonly candidate: Candidate;
  readonly index: number;
  readonly freeSlots: number[];
  /** Prompts on it, those of others included. */
  busy: number;
  /** What it has in memory, or will have when the jobs placed there have run. */
  loaded: readonly string[];
}

/** Open instances with the same lists that had a free place when the plan began; `seats` are those that still have. */
interface Group {
  readonly example: Candidate;
  readonly seats: Seat[];
}

export interface SeatRules {
  readonly candidates: readonly Candidate[];
  readonly needsOf: (needsKey: string) => Needs;
  readonly estimates: Estimates;
  /** Epoch ms. */
  readonly now: number;
}

/** Another instance is worth waiting for this long, rather than failing twice in the same place. */
const AVOIDED_MS = 30_000;
/** What an instance may be given that was put aside until just now. */
const SHORT_MS = 60_000;

export class Seats {
  readonly #rules: SeatRules;
  readonly #groups = new Map<Inventory | null, Group>();
  /** Groups that are able, by key of the needs. */
  readonly #able = new Map<string, readonly Group[]>();
  /** Free places by what they have in memory. */
  readonly #byModel = new Map<string, Set<Seat>>();
  #free = 0;

  constructor(rules: SeatRules) {
    this.#rules = rules;
    for (const [index, candidate] of rules.candidates.entries())
      if (isOpen(candidate)) this.#add(candidate, index);
  }

  /** Places that are left. */
  get free(): number {
    return this.#free;
  }

  /** Whether the job could go to one of the free places now. */
  hasPlaceFor(turn: Turn): boolean {
    return this.#withPlaces(turn.lane).some(({ seats }) => seats.some((seat) => this.fits(turn, seat)));
  }

  /** The free places that the job could go to now. */
  placesFor(turn: Turn): Seat[] {
    const places = this.#withPlaces(turn.lane).flatMap(({ seats }) => seats);
    return this.#sparing(
      turn,
      places.filter((seat) => this.fits(turn, seat)),
    );
  }

  /** Those of them that have all its models in memory; none for a job that names no models. */
  warmPlacesFor(turn: Turn): Seat[] {
    const places = [...this.#warm(turn.lane.needsKey)].filter((seat) => this.canGo(turn, seat));
    return this.#sparing(turn, places);
  }

  /** Some free place has all models of the class in memory. */
  isWarm(needsKey: string): boolean {
    return this.#warm(needsKey).next().done === false;
  }

  /** Whether the job could go to this place now. */
  canGo(turn: Turn, seat: Seat): boolean {
    const { needsKey } = turn.lane;
    return isAble(seat.candidate, this.#rules.needsOf(needsKey)) && this.fits(turn, seat);
  }

  /** Whether the job could go to this place, whose instance is able, now. */
  fits(turn: Turn, seat: Seat): boolean {
    const { lane } = turn;
    if (seat.freeSlots.length === 0 || (lane.isSuspect && seat.busy > 0)) return false;
    if (lane.avoids === seat.candidate.id && this.#mayAvoid(turn)) return false;
    // one prompt of ours at a time
    return !seat.candidate.slowStart || seat.busy === seat.candidate.foreignPrompts;
  }

  /** Gives the job a place; a suspect gets the whole instance. */
  sitDown(seat: Seat, { lane }: Turn): number {
    const slot = seat.freeSlots.shift();
    assert(slot !== undefined, 'a chosen seat has a free slot');
    this.#free--;
    seat.busy++;
    if (lane.isSuspect) this.#close(seat);
    else if (seat.freeSlots.length === 0) this.#leave(seat);
    else {
      this.#unload(seat);
      this.#load(seat, this.#rules.needsOf(lane.needsKey).models);
    }
    return slot;
  }

  /**
   * Keeps the emptiest instance free of further jobs until a suspect can have it, else one with several places would never
   * be empty. Not one with prompts of others: nobody knows when those end. True when there is one to wait for.
   */
  reserveFor({ lane, job }: Turn): boolean {
    const [emptiest] = this.#withPlaces(lane)
      .flatMap(({ seats }) => seats)
      .filter(({ candidate }) => candidate.foreignPrompts === 0)
      .filter(({ candidate }) => lane.avoids !== candidate.id || !this.#mayAvoid({ lane, job }))
      .sort((a, b) => wasThere(a, job) - wasThere(b, job) || a.busy - b.busy || a.index - b.index);
    if (!emptiest) return false;
    this.#close(emptiest);
    return true;
  }

  #add(candidate: Candidate, index: number): void {
    const slots = freeSlots(candidate);
    if (slots.length === 0) return;
    const group = this.#groups.get(candidate.inventory) ?? { example: candidate, seats: [] };
    this.#groups.set(candidate.inventory, group);
    const seat = { candidate, index, freeSlots: slots, busy: promptsOn(candidate), loaded: [] };
    group.seats.push(seat);
    this.#free += slots.length;
    this.#load(seat, candidate.loadedModels);
  }

  #load(seat: Seat, models: readonly string[]): void {
    seat.loaded = models;
    for (const model of models) {
      const seats = this.#byModel.get(model);
      if (seats) seats.add(seat);
      else this.#byModel.set(model, new Set([seat]));
    }
  }

  #unload(seat: Seat): void {
    for (const model of seat.loaded) this.#byModel.get(model)?.delete(seat);
  }

  #close(seat: Seat): void {
    this.#free -= seat.freeSlots.length;
    seat.freeSlots.length = 0;
    this.#leave(seat);
  }

  #leave(seat: Seat): void {
    const group = this.#groups.get(seat.candidate.inventory);
    group?.seats.splice(group.seats.indexOf(seat), 1);
    this.#unload(seat);
  }

  #withPlaces({ needsKey }: Lane): readonly Group[] {
    const known = this.#able.get(needsKey);
    if (known) return known;
    const needs = this.#rules.needsOf(needsKey);
    const able = [...this.#groups.values()].filter(({ example }) => isAble(example, needs));
    this.#able.set(needsKey, able);
    return able;
  }

  *#warm(needsKey: string): Generator<Seat, void> {
    const [first, ...others] = this.#rules.needsOf(needsKey).models;
    if (first === undefined) return;
    for (const seat of this.#byModel.get(first) ?? []) {
      if (others.every((model) => seat.loaded.includes(model))) yield seat;
    }
  }

  /** It waits for another instance: there is one that takes such jobs, busy or not, and it has not waited for long. */
  #mayAvoid({ lane: { avoids, needsKey }, job }: Turn): boolean {
    if (this.#rules.now - job.notBefore >= AVOIDED_MS) return false;
    const needs = this.#rules.needsOf(needsKey);
    return this.#rules.candidates.some(
      (one) => one.id !== avoids && mayTakePartSoon(one) && isAble(one, needs),
    );
  }

  /** Of these places those where it risks little; all of them when there is no such place for it now. */
  #sparing(turn: Turn, places: Seat[]): Seat[] {
    const isSafe = (seat: Seat): boolean => !this.#isRisky(turn.lane, seat);
    const safe = places.filter(isSafe);
    if (safe.length > 0 || places.length === 0) return safe;
    const isElsewhere = this.#withPlaces(turn.lane).some(({ seats }) =>
      seats.some((seat) => this.fits(turn, seat) && isSafe(seat)),
    );
    return isElsewhere ? safe : places;
  }

  /** Much would be lost if what put the instance aside until just now came again. */
  #isRisky(lane: Lane, { candidate }: Seat): boolean {
    return candidate.slowStart && (this.#rules.estimates.runMs(lane, candidate.id) ?? 0) > SHORT_MS;
  }
}

/** Lowest first. A capacity that was lowered may leave more open attempts than places. */
function freeSlots(candidate: Candidate): number[] {
  const free = candidate.capacity - candidate.takenSlots.length;
  if (free <= 0) return [];
  return Array.from({ length: candidate.capacity }, (_, slot) => slot)
    .filter((slot) => !candidate.takenSlots.includes(slot))
    .slice(0, free);
}

/** 1 where the job's last attempt ended. */
export function wasThere(
  { candidate }: Pick<Seat, 'candidate'>,
  { attemptCount, lastInstanceId }: Turn['job'],
): number {
  return attemptCount > 0 && lastInstanceId === candidate.id ? 1 : 0;
}
