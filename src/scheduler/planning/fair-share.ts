/**
 * Start-time fair queuing between tenants, pure. A dispatch moves its tenant on by what the job costs, divided by the
 * tenant's weight; among equal priorities the tenant whose next job would start at the lowest turn goes first. The present
 * turn is where the job that was first in order started: one that went out of turn, because its models were loaded, moves
 * its tenant on and not the turn, else newcomers would start behind everybody. A tenant that had nothing to run saves
 * nothing up. What was run at a high priority counts at a low one too, as shares are shares of the fleet.
 *
 * A cost is the job's expected run time beside that of the average job, so that shares are shares of GPU time; 1 while
 * nothing is known. What a tenant is ahead is kept as a cost: a weight may change at any moment.
 */
import type { LimitsOf } from '../../domain/tenant-limits.ts';
import type { PendingJob } from '../../store/jobs.ts';
import type { Estimates } from './estimates.ts';
import type { Lane } from './lane.ts';
import type { Turn } from './pending-queue.ts';

interface Ahead {
  /** The turn at which this was reckoned. */
  readonly at: number;
  readonly cost: number;
}

/** Comes back in the plan. */
export interface Shares {
  readonly turn: number;
  /** By tenant; absent means not ahead of anybody. */
  readonly ahead: ReadonlyMap<string, Ahead>;
  /** Of the jobs dispatched of late, in ms; null while nothing is known. */
  readonly meanRunMs: number | null;
}

export const EVEN_SHARES: Shares = { turn: 0, ahead: new Map(), meanRunMs: null };

/** What shares are reckoned by. */
export interface ShareRules {
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
  /** Costs are asked for again and again while one plan is made. */
  readonly #costs = new Map<Lane, number>();
  #turn: number;
  #meanRunMs: number | null;

  constructor(rules: ShareRules) {
    const { turn, ahead, meanRunMs } = rules.shares;
    this.#rules = rules;
    this.#ahead = new Map(ahead);
    this.#turn = turn;
    this.#meanRunMs = meanRunMs;
  }

  get turn(): number {
    return this.#turn;
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

  /** `isInTurn`: no other job was before it that could have gone. */
  dispatched({ job, lane }: Turn, isInTurn: boolean): void {
    if (isReturned(job)) return;
    const { tenant } = lane;
    const start = this.startOf(tenant);
    if (isInTurn) this.#turn = start;
    const owed = (start - this.#turn) * this.#weight(tenant);
    this.#ahead.set(tenant, { at: this.#turn, cost: owed + this.#cost(lane) });
    const runMs = this.#rules.estimates.runMs(lane);
    if (runMs !== null) this.#meanRunMs = runMs * MEAN_STEP + (this.#meanRunMs ?? runMs) * (1 - MEAN_STEP);
  }

  /** Without the tenants that are not ahead of anybody. */
  result(): Shares {
    const ahead = [...this.#ahead].filter(([tenant]) => this.startOf(tenant) > this.#turn);
    return { turn: this.#turn, ahead: new Map(ahead), meanRunMs: this.#meanRunMs };
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
