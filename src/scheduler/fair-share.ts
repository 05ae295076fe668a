/**
 * Start-time fair queuing between tenants within a level of priority, pure. Each dispatch moves its tenant one turn on; the
 * tenant whose next job would start at the lowest turn goes first, the older job among equals. A tenant that had nothing
 * to run saves no turns up, and one with thousands of jobs delays another by one job a turn. All weigh the same.
 */
import type { PendingJob } from '../store/jobs.ts';
import { servedBefore } from './pending-queue.ts';

interface Level {
  /** Where the job dispatched last started: the present turn. */
  readonly turn: number;
  /** Tenant to where its next job starts; absent means now. */
  readonly next: ReadonlyMap<string, number>;
}

/** By priority; comes back in the plan. */
export type Shares = ReadonlyMap<number, Level>;

export const EVEN_SHARES: Shares = new Map();

const FIRST_TURN: Level = { turn: 0, next: new Map() };

/** The shares while a plan is made. */
export class FairShare {
  readonly #levels: Map<number, { turn: number; readonly next: Map<string, number> }>;

  constructor(shares: Shares) {
    const copies = [...shares].map(
      ([priority, { turn, next }]) => [priority, { turn, next: new Map(next) }] as const,
    );
    this.#levels = new Map(copies);
  }

  /** Negative when `a`, the first job of its tenant, goes before `b`, the first one of another. */
  readonly between = (a: PendingJob, b: PendingJob): number =>
    b.priority - a.priority || this.#start(a) - this.#start(b) || servedBefore(a, b);

  dispatched(job: PendingJob): void {
    if (isReturned(job)) return;
    const start = this.#start(job);
    const level = this.#levels.get(job.priority) ?? { turn: 0, next: new Map<string, number>() };
    level.turn = Math.max(level.turn, start);
    level.next.set(job.tenant, start + 1);
    this.#levels.set(job.priority, level);
  }

  /** Without the tenants that are not ahead of anybody. */
  result(): Shares {
    for (const { turn, next } of this.#levels.values()) {
      for (const [tenant, at] of next) if (at <= turn) next.delete(tenant);
    }
    return this.#levels;
  }

  #start(job: PendingJob): number {
    const { turn, next } = this.#levels.get(job.priority) ?? FIRST_TURN;
    return isReturned(job) ? turn : Math.max(turn, next.get(job.tenant) ?? 0);
  }
}

/** Its instance forgot it: its turn was used up by that attempt, and it waits for no other. */
function isReturned(job: PendingJob): boolean {
  return job.attemptCount > 0 && job.chargedAttempts === 0;
}
