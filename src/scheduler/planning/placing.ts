/**
 * Fills the free places, one after the other. The job that is first in order goes where its models are in memory. If that is
 * nowhere, then among the first W = 2K (512 at most) the first one goes that finds its models in a free place, and overtakes
 * those before it. If there is none, the first in order goes where the least is lost; unless an instance that has its models
 * is expected to be free soon (soon-warm.ts): then it waits for that one, and the next in order may overtake it.
 *
 * Overtaking means: a job goes to an instance although another one, which is before it in the order of this moment, could
 * have gone to that very place now. Not that a job goes where another one cannot: its lists lack something, it is to be
 * avoided, it is not empty as a suspect needs it; nor past jobs that are held back (files, the retry budget, their tenant's
 * cap); nor that a job comes to be before another one in order, by priority, age or turn. A job is overtaken at most K times,
 * K = max(8, 2 x instances that take part): nobody looks behind one that was overtaken so often, so those before it go as
 * places come free, and then it. A count, as a bound by age collapses under load.
 */
import type { Needs } from '../../domain/capabilities.ts';
import { bestSeat } from './best-seat.ts';
import { takesPart } from './candidate.ts';
import { FairShare, type Shares } from './fair-share.ts';
import type { Lane } from './lane.ts';
import { OrderFront, type Waiting } from './order-front.ts';
import { OrderWalk } from './order-walk.ts';
import type { PendingQueue, Turn } from './pending-queue.ts';
import type { Assignment, PlanState } from './plan-state.ts';
import { Reasons } from './reasons.ts';
import { type Seat, Seats } from './seats.ts';
import { SoonWarm } from './soon-warm.ts';
import { streamKey } from './streams.ts';

interface Pick {
  readonly goes: Waiting;
  readonly seat: Seat;
  /** No other was before it that could have gone. */
  readonly isInTurn: boolean;
  readonly overtakes: readonly Waiting[];
}

/** How often a job may be overtaken, at least. */
const LEAST_OVERTAKING = 8;
/**
 * Nobody looks further than this, however large the fleet: with 1,000 instances W would be 4,000 jobs, which took most of the
 * time of the slowest plans, and looking so far was worth nothing in the simulation.
 */
const FURTHEST_LOOK = 512;

export class Placing {
  readonly assignments: Assignment[] = [];
  /** These two as they will be when the plan is carried out. */
  readonly recent: { all: number; retries: number };
  readonly running: Map<string, number>;
  readonly reasons: Reasons;
  cursor: number;
  readonly #state: PlanState;
  readonly #now: number;
  readonly #needsOf: (needsKey: string) => Needs;
  readonly #seats: Seats;
  readonly #share: FairShare;
  readonly #front: OrderFront;
  readonly #mostOvertaking: number;
  readonly #furthestLook: number;
  /** How many jobs wait for each model; null until somebody asks. */
  #demand: ReadonlyMap<string, number> | null = null;
  /** How many go, of each lane and of each class of needs. */
  readonly #going = new Map<Lane | string, number>();
  /** Lanes that can wait until the next plan. */
  readonly #left = new Set<Lane>();
  /** Of lanes in which it is the same for each job: whether it may go, until the next one is placed. */
  readonly #free = new Map<Lane, boolean>();
  /** Null until somebody asks. */
  #soon: SoonWarm | null = null;
  /** One at a time: a second one would keep a second instance from working. */
  #reserved = false;

  constructor(state: PlanState, needsOf: (needsKey: string) => Needs, now: number) {
    const { pending, candidates, estimates } = state;
    this.#state = state;
    this.#needsOf = needsOf;
    this.#now = now;
    this.recent = { ...state.recent };
    this.running = new Map(state.running);
    this.cursor = state.cursor;
    this.#seats = new Seats({ candidates, needsOf, estimates, now });
    this.#share = new FairShare({ ...state, now });
    this.reasons = new Reasons(state, this, needsOf);
    this.#mostOvertaking = Math.max(LEAST_OVERTAKING, 2 * candidates.filter(takesPart).length);
    this.#furthestLook = Math.min(2 * this.#mostOvertaking, FURTHEST_LOOK);
    const mayGo = (turn: Turn): boolean => this.#mayGo(turn);
    const walk = new OrderWalk(pending.streams(), { ...state, now }, mayGo, this.#share);
    this.#front = new OrderFront(walk, mayGo, (jobId) => pending.overtaken(jobId));
  }

  shares(): Shares {
    return this.#share.result((jobId) => this.#state.pending.has(jobId));
  }

  /** Some job of the class does not go. */
  isLeft(needsKey: string): boolean {
    return this.#state.pending.waitingOf(needsKey) > this.#goingOf(needsKey);
  }

  /** Lanes of the class of which some job does not go. */
  *lanesLeft(needsKey: string): Generator<Lane, void> {
    for (const lane of this.#state.pending.lanesOf(needsKey)) {
      if (lane.jobs.length > this.#goingOf(lane)) yield lane;
    }
  }

  placeAll(): void {
    let room = Math.min(this.#roomLeft(), this.#state.mostAtOnce);
    while (room > 0) {
      const pick = this.#pick();
      if (!pick) return;
      this.#place(pick);
      room--;
    }
  }

  #roomLeft(): number {
    const { candidates, maxConcurrentJobs } = this.#state;
    if (maxConcurrentJobs === null) return Number.POSITIVE_INFINITY;
    return maxConcurrentJobs - candidates.reduce((sum, { takenSlots }) => sum + takenSlots.length, 0);
  }

  #pick(): Pick | null {
    const first = this.#first();
    if (!first) return null;
    const warm = this.#state.pending.classes().filter((needsKey) => this.#seats.isWarm(needsKey));
    const pick = (warm.length > 0 ? this.#firstWarm(new Set(warm)) : null) ?? this.#firstCold();
    return pick && { ...pick, isInTurn: pick.goes === first };
  }

  /** The first in order that can go now. */
  #first(): Waiting | null {
    if (this.#seats.free === 0) return null;
    for (const waiting of this.#front.jobs()) {
      const { turn } = waiting;
      if (this.#seats.hasPlaceFor(turn)) return waiting;
      // a suspect, and no instance is empty
      this.#left.add(turn.lane);
      this.#free.clear();
      this.#reserved ||= this.#seats.reserveFor(turn);
      if (this.#seats.free === 0) return null;
    }
    return null;
  }

  /** The first in order, among so many, whose models are in memory where it can go; `warm`: classes of which some are. */
  #firstWarm(warm: ReadonlySet<string>): Omit<Pick, 'isInTurn'> | null {
    const before: Waiting[] = [];
    for (const waiting of this.#front.jobs()) {
      const { turn } = waiting;
      const isWarm = warm.has(turn.lane.needsKey);
      const seat = isWarm ? this.#best(turn, this.#seats.warmPlacesFor(turn)) : null;
      if (seat) return this.#pickPast(before, waiting, seat);
      before.push(waiting);
      const mayLookOn = waiting.overtaken < this.#mostOvertaking || !this.#seats.hasPlaceFor(turn);
      if (!mayLookOn || before.length >= this.#furthestLook) return null;
    }
    return null;
  }

  /** The first in order that does not rather wait for a place where its models are. */
  #firstCold(): Omit<Pick, 'isInTurn'> | null {
    this.#soon ??= new SoonWarm(this.#state, this.#needsOf, this.#now);
    const before: Waiting[] = [];
    for (const waiting of this.#front.jobs()) {
      const { turn } = waiting;
      // the last one that is looked at does not wait: in a large fleet there are as many to wait for as are looked at
      const mayWait = waiting.overtaken < this.#mostOvertaking && before.length < FURTHEST_LOOK - 1;
      const waits = mayWait && this.#soon.isWorthWaiting(turn);
      const seat = waits ? null : this.#best(turn, this.#seats.placesFor(turn));
      if (seat) return this.#pickPast(before, waiting, seat);
      before.push(waiting);
      if (before.length >= this.#furthestLook) return null;
    }
    return null;
  }

  #pickPast(before: readonly Waiting[], goes: Waiting, seat: Seat): Omit<Pick, 'isInTurn'> {
    const able = new Map<Lane, boolean>();
    const overtakes = before.filter(({ turn }) => {
      const known = able.get(turn.lane);
      if (known !== undefined) return known;
      const canGo = this.#seats.canGo(turn, seat);
      if (isSameForLane(turn.lane)) able.set(turn.lane, canGo);
      return canGo;
    });
    return { goes, seat, overtakes };
  }

  #best(turn: Turn, places: readonly Seat[]): Seat | null {
    const { models } = this.#needsOf(turn.lane.needsKey);
    const demandOf = (model: string): number => this.#demandOf(model);
    const instances = this.#state.candidates.length;
    return bestSeat(places, turn, { models, demandOf, cursor: this.cursor, instances });
  }

  #place({ goes, seat, overtakes, isInTurn }: Pick): void {
    const { job, lane } = goes.turn;
    const { isRetry, tenant } = lane;
    goes.hasGone = true;
    this.#free.clear();
    for (const waiting of overtakes) waiting.overtaken++;
    this.assignments.push({
      jobId: job.id,
      instanceId: seat.candidate.id,
      slot: this.#seats.sitDown(seat, goes.turn),
      isRetry,
      overtakes: overtakes.map((waiting) => waiting.turn.job.id),
    });
    this.#share.dispatched(goes.turn, isInTurn);
    for (const key of [lane, lane.needsKey]) this.#going.set(key, this.#goingOf(key) + 1);
    this.running.set(tenant, (this.running.get(tenant) ?? 0) + 1);
    this.recent.all++;
    if (isRetry) this.recent.retries++;
    this.cursor = (seat.index + 1) % this.#state.candidates.length;
  }

  /** Held back by nothing but its turn, and there is a place; a suspect may also have one kept free for it. */
  #mayGo(turn: Turn): boolean {
    const known = this.#free.get(turn.lane);
    if (known !== undefined) return known;
    const isFree = this.#isFree(turn);
    if (isSameForLane(turn.lane)) this.#free.set(turn.lane, isFree);
    return isFree;
  }

  #isFree(turn: Turn): boolean {
    const { lane } = turn;
    if (this.#left.has(lane) || this.reasons.holding(lane) !== null) return false;
    if (this.#seats.hasPlaceFor(turn) || (lane.isSuspect && !this.#reserved)) return true;
    this.#keepTurn(turn);
    return false;
  }

  /** Its turn has come, but the places that it could go to are busy: it keeps that turn, one job of a stream at a time. */
  #keepTurn({ job }: Turn): void {
    const kept = this.#share.keptOf(streamKey(job));
    if (kept && this.#waits(kept.jobId)) return;
    if (this.reasons.ofWholeClass(job.needsKey) === null) this.#share.keep(job);
  }

  /** It waits, and some instance that takes part can run it. */
  #waits(jobId: string): boolean {
    const job = this.#state.pending.get(jobId);
    return job !== undefined && this.reasons.ofWholeClass(job.needsKey) === null;
  }

  #goingOf(key: Lane | string): number {
    return this.#going.get(key) ?? 0;
  }

  #demandOf(model: string): number {
    this.#demand ??= demandOf(this.#state.pending, this.#needsOf);
    return this.#demand.get(model) ?? 0;
  }
}

/** What holds for one job of the lane holds for all of them, until the next one is placed. */
function isSameForLane({ avoids, isSuspect }: Lane): boolean {
  return avoids === null && !isSuspect;
}

/** How many jobs wait for each model. */
function demandOf(pending: PendingQueue, needsOf: (needsKey: string) => Needs): Map<string, number> {
  const demand = new Map<string, number>();
  for (const needsKey of pending.classes()) {
    const waiting = pending.waitingOf(needsKey);
    for (const model of needsOf(needsKey).models) demand.set(model, (demand.get(model) ?? 0) + waiting);
  }
  return demand;
}
