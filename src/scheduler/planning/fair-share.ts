/**
 * Start-time fair queuing between tenants, pure. A dispatch moves its tenant on by what the job costs, divided by the
 * tenant's weight; among equal priorities the tenant whose next job would start at the lowest turn goes first. The present
 * turn is where the job that was first in order started: one that went out of turn, because its models were loaded, moves
 * its tenant on and not the turn, else newcomers would start behind everybody. A tenant that had nothing to run saves
 * nothing up. What was run at a high priority counts at a low one too, as shares are shares of the fleet.
 *
 * A job whose turn has come, but whose places are all busy, keeps that turn and its age, one job of a stream at a time:
 * else both would move on with what runs elsewhere, and it would starve behind others that want the same places.
 *
 * A cost is the job's expected run time beside that of the average job, so that shares are shares of GPU time; 1 while
 * nothing is known. What a tenant is ahead is kept as a cost: a weight may change at any moment.
 */
import type { LimitsOf } from '../../domain/tenant-limits.ts';
import type { PendingJob } from '../../store/jobs.ts';
import { type Ageing, agedFromAfter, isLongAgo } from './ageing.ts';
import type { Estimates } from './estimates.ts';
import type { Lane } from './lane.ts';
import type { Turn } from './pending-queue.ts';
import { streamKey } from './streams.ts';

interface Ahead {
  /** The turn at which this was reckoned. */
  readonly at: number;
  readonly cost: number;
}

/** Of a job that found the places busy that it could go to. */
export interface KeptTurn {
  readonly jobId: string;
  /** Where it starts, and from when its age counts: as they were then. */
  readonly start: number;
  readonly agedFrom: number;
}

/** Comes back in the plan. */
export interface Shares {
  readonly turn: number;
  /** By tenant; absent means not ahead of anybody. */
  readonly ahead: ReadonlyMap<string, Ahead>;
  /** By key of the stream. */
  readonly kept: ReadonlyMap<string, KeptTurn>;
  /** By key of the stream: from when the age of its jobs counts (epoch ms); absent means from when each came. */
  readonly agedFrom: ReadonlyMap<string, number>;
  /** Of the jobs dispatched of late, in ms; null while nothing is known. */
  readonly meanRunMs: number | null;
}

export const EVEN_SHARES: Shares = {
  turn: 0,
  ahead: new Map(),
  kept: new Map(),
  agedFrom: new Map(),
  meanRunMs: null,
};

/** What shares are reckoned by. */
export interface ShareRules extends Ageing {
  readonly shares: Shares;
  readonly limitsOf: LimitsOf;
  readonly estimates: Estimates;
}

/** No estimate makes a job count less or more than this. */
const LEAST_COST = 0.1;
const MOST_COST = 10;
/** How quickly the mean follows the jobs that are dispatched. */
const MEAN_STEP = 0.02;

/** The shares while a plan is made. */
export class FairShare {
  readonly #rules: ShareRules;
  readonly #ahead: Map<string, Ahead>;
  readonly #kept: Map<string, KeptTurn>;
  readonly #agedFrom: Map<string, number>;
  /** Costs are asked for again and again while one plan is made. */
  readonly #costs = new Map<Lane, number>();
  #turn: number;
  #meanRunMs: number | null;

  constructor(rules: ShareRules) {
    const { turn, ahead, kept, agedFrom, meanRunMs } = rules.shares;
    this.#rules = rules;
    this.#ahead = new Map(ahead);
    this.#kept = new Map(kept);
    this.#agedFrom = new Map(agedFrom);
    this.#turn = turn;
    this.#meanRunMs = meanRunMs;
  }

  get turn(): number {
    return this.#turn;
  }

  /** The turn that a job of the stream keeps. */
  keptOf(key: string): KeptTurn | undefined {
    return this.#kept.get(key);
  }

  /** From when the age of the stream's jobs counts (epoch ms), that of one that keeps its turn left aside. */
  agedFrom(key: string): number {
    return this.#agedFrom.get(key) ?? 0;
  }

  /** Where the tenant's next job starts. */
  startOf(tenant: string): number {
    const ahead = this.#ahead.get(tenant);
    return ahead ? Math.max(this.#turn, ahead.at + ahead.cost / this.#weight(tenant)) : this.#turn;
  }

  /** How far the job moves its tenant on. */
  step({ job, lane }: Turn): number {
    return isReturned(job) ? 0 : this.#cost(lane) / this.#weight(lane.tenant);
  }

  /** The job keeps its turn and age. */
  keep(job: PendingJob): void {
    const key = streamKey(job);
    const [start, agedFrom] = [this.startOf(job.tenant), this.agedFrom(key)];
    this.#kept.set(key, { jobId: job.id, start, agedFrom });
  }

  /** `isInTurn`: no other job was before it that could have gone. */
  dispatched({ job, lane }: Turn, isInTurn: boolean): void {
    const key = streamKey(job);
    const kept = this.#kept.get(key);
    const wasKept = kept?.jobId === job.id;
    if (wasKept) this.#kept.delete(key);
    if (isReturned(job)) return;
    const { tenant } = lane;
    const start = this.startOf(tenant);
    if (isInTurn) this.#turn = wasKept ? Math.max(this.#turn, Math.min(start, kept.start)) : start;
    const owed = (start - this.#turn) * this.#weight(tenant);
    this.#ahead.set(tenant, { at: this.#turn, cost: owed + this.#cost(lane) });
    this.#spendAge(job, wasKept ? kept.agedFrom : undefined);
    const runMs = this.#rules.estimates.runMs(lane);
    if (runMs !== null) this.#meanRunMs = runMs * MEAN_STEP + (this.#meanRunMs ?? runMs) * (1 - MEAN_STEP);
  }

  /** Without what changes nothing any more: tenants that are not ahead, jobs that do not wait, ages as good as none. */
  result(waits: (jobId: string) => boolean): Shares {
    for (const tenant of this.#ahead.keys())
      if (this.startOf(tenant) <= this.#turn) this.#ahead.delete(tenant);
    for (const [key, { jobId }] of this.#kept) if (!waits(jobId)) this.#kept.delete(key);
    for (const [key, from] of this.#agedFrom) if (isLongAgo(from, this.#rules)) this.#agedFrom.delete(key);
    return {
      turn: this.#turn,
      ahead: this.#ahead,
      kept: this.#kept,
      agedFrom: this.#agedFrom,
      meanRunMs: this.#meanRunMs,
    };
  }

  /** The job's stream is younger by what the job used of its age. */
  #spendAge(job: PendingJob, ownFrom: number | undefined): void {
    const key = streamKey(job);
    const before = this.agedFrom(key);
    const after = Math.max(before, agedFromAfter(job, ownFrom ?? before, this.#rules));
    if (after > before) this.#agedFrom.set(key, after);
  }

  #cost(lane: Lane): number {
    const known = this.#costs.get(lane);
    if (known !== undefined) return known;
    const { meanRunMs } = this.#rules.shares;
    const runMs = meanRunMs ? this.#rules.estimates.runMs(lane) : null;
    const cost =
      runMs === null || !meanRunMs ? 1 : Math.min(MOST_COST, Math.max(LEAST_COST, runMs / meanRunMs));
    this.#costs.set(lane, cost);
    return cost;
  }

  #weight(tenant: string): number {
    return this.#rules.limitsOf(tenant).weight;
  }
}

/** Its instance forgot it: its turn was used up by that attempt, and it waits for no other. */
export function isReturned(job: PendingJob): boolean {
  return job.attemptCount > 0 && job.chargedAttempts === 0;
}
