/** What a plan is made from, and what it says. */
import type { Needs } from '../../domain/capabilities.ts';
import type { LimitsOf } from '../../domain/tenant-limits.ts';
import type { Candidate } from './candidate.ts';
import type { Estimates } from './estimates.ts';
import type { Shares } from './fair-share.ts';
import type { Lane } from './lane.ts';
import type { PendingQueue } from './pending-queue.ts';
import type { RecentDispatches } from './retry-budget.ts';

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
  /** Most assignments of one plan; whoever gets as many plans again, so that no plan of an idle fleet takes long. */
  readonly mostAtOnce: number;
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
  /** The same of a single lane. */
  readonly whyHeld: (lane: Lane) => string | null;
  readonly cursor: number;
  readonly shares: Shares;
}
