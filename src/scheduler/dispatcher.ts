/** Carries out the plan: keeps what a plan hands to the next one, and gives each chosen job its place. */
import type { Tracer } from '@opentelemetry/api';
import type { Config } from '../config.ts';
import type { LimitsOf } from '../domain/tenant-limits.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { recentDispatches } from '../store/attempts.ts';
import type { PendingJob } from '../store/jobs.ts';
import type { Adopted } from './adopt.ts';
import { Comebacks } from './comebacks.ts';
import { type DoubtfulPlace, DoubtfulPlaces } from './doubtful-places.ts';
import type { Learning } from './forecast/learning.ts';
import { type PlaceParts, placeJob } from './place-job.ts';
import { STORAGE_AWAY } from './planning/blocked-reason.ts';
import { type Candidate, takesPart } from './planning/candidate.ts';
import { EVEN_SHARES } from './planning/fair-share.ts';
import { laneOf } from './planning/lane.ts';
import type { Assignment, Plan, PlanState } from './planning/plan-state.ts';
import { plan } from './planning/planner.ts';
import { BUDGET_WINDOW_MS, DispatchCount } from './planning/retry-budget.ts';
import type { QueueNews } from './queue-news.ts';
import { traceWait } from './queue-trace.ts';
import type { Runs } from './runs/runs.ts';
import { snapshotOf } from './snapshot.ts';
import type { StorageWatch } from './storage-watch.ts';
import type { WaitingLine } from './waiting-line.ts';

export interface DispatcherParts extends PlaceParts {
  readonly fleet: Fleet;
  readonly ids: () => string;
  readonly random: () => number;
  readonly config: Pick<Config, 'maxConcurrentJobs' | 'retryBudgetPercent' | 'priorityAgeingMs'>;
  readonly limitsOf: LimitsOf;
  readonly line: WaitingLine;
  readonly news: QueueNews;
  readonly runs: Runs;
  readonly learning: Pick<Learning, 'estimates'>;
  readonly storageWatch: Pick<StorageWatch, 'isAway'>;
  /** An attempt was written: follow it. */
  readonly begin: (placed: Adopted) => void;
  readonly tracer?: Tracer | null | undefined;
}

type Carried = Pick<Plan, 'cursor' | 'shares' | 'whyHeld'>;

/** A place takes a few ms to find and to write; between two plans others have a turn. */
const MOST_AT_ONCE = 16;

export class Dispatcher {
  readonly #parts: DispatcherParts;
  readonly #term: number;
  readonly #dispatches = new DispatchCount();
  readonly #comebacks: Comebacks;
  readonly #doubtful: DoubtfulPlaces;
  /** Jobs that are being given a place, and whether they were canceled meanwhile: no run stands for them yet. */
  readonly #placing = new Map<string, 'wanted' | 'not wanted'>();
  #last: Carried = { cursor: 0, shares: EVEN_SHARES, whyHeld: () => null };

  constructor(parts: DispatcherParts, term: number) {
    this.#parts = parts;
    this.#term = term;
    this.#comebacks = new Comebacks(parts.random);
    this.#doubtful = new DoubtfulPlaces(parts.store.db, parts.runs);
  }

  /** Reads what was dispatched of late, so that a restart does not renew the retry budget. */
  async recall(): Promise<void> {
    const { store, clock } = this.#parts;
    const now = clock.now();
    for (const { ageMs, isRetry, count } of await recentDispatches(store.db, now, BUDGET_WINDOW_MS)) {
      for (let n = 0; n < count; n++) this.#dispatches.add(clock.monotonic() - ageMs, isRetry);
    }
  }

  /** Plans and starts what can start, while `goOn` says so. */
  async dispatch(goOn: () => boolean): Promise<void> {
    const { clock, news } = this.#parts;
    await this.#settleDoubts();
    for (;;) {
      const now = clock.now();
      const { assignments, blocked, ...carried } = this.#plan(now);
      await this.#carryOut(assignments, carried, goOn);
      if (!goOn()) return;
      if (assignments.length < MOST_AT_ONCE) return news.reasons(blocked, now, goOn);
    }
  }

  async #carryOut(assignments: readonly Assignment[], carried: Carried, goOn: () => boolean): Promise<void> {
    const { shares } = this.#last;
    this.#last = carried;
    try {
      for (const assignment of assignments) if (goOn()) await this.#place(assignment);
    } catch (error) {
      // nobody is ahead for what was not placed
      this.#last = { ...carried, shares };
      throw error;
    }
  }

  /** The job was canceled or deleted. */
  notWanted(jobId: string): void {
    if (this.#placing.has(jobId)) this.#placing.set(jobId, 'not wanted');
  }

  /** What the job waits for, when that is not its turn; null when nothing is known. */
  whyWaiting(job: PendingJob): string | null {
    if (job.fileCount > 0 && this.#parts.storageWatch.isAway) return STORAGE_AWAY;
    if (job.notBefore > this.#parts.clock.now()) return 'an attempt failed, and the next one was not due yet';
    return this.#last.whyHeld(laneOf(job));
  }

  /** When an instance that came back may get its first job (monotonic ms); null when none waits. */
  nextChangeAt(): number | null {
    return this.#comebacks.nextEndAt();
  }

  #plan(now: number): Plan {
    const state = this.state(now);
    this.#probeStale(state.candidates);
    return plan(state, now);
  }

  /** What a plan of this moment (epoch ms) is made from. */
  state(now: number): PlanState {
    const { clock, fleet, runs, line, learning, config, storageWatch } = this.#parts;
    const { maxConcurrentJobs } = config;
    const retryBudgetPercent = fleet.isPanic ? 0 : config.retryBudgetPercent;
    const { cursor, shares } = this.#last;
    const tick = clock.monotonic();
    return {
      pending: line.queue,
      needs: line.needs,
      candidates: snapshotOf(fleet, runs, this.#comebacks, { now, tick }),
      maxConcurrentJobs,
      retryBudgetPercent,
      recent: this.#dispatches.recent(tick),
      mostAtOnce: MOST_AT_ONCE,
      storageAway: storageWatch.isAway,
      cursor,
      shares,
      ageingMs: config.priorityAgeingMs,
      limitsOf: this.#parts.limitsOf,
      running: runs.byTenant(),
      estimates: learning.estimates,
    };
  }

  /** Jobs wait, and nothing was heard for a while of an instance that could take one: its answer wakes the next plan. */
  #probeStale(candidates: readonly Candidate[]): void {
    const { fleet, line } = this.#parts;
    if (line.queue.classes().length === 0) return;
    for (const candidate of candidates) {
      const isFree = candidate.takenSlots.length < candidate.capacity;
      if (candidate.stale && isFree && takesPart(candidate)) fleet.member(candidate.id)?.probeSoon();
    }
  }

  #settleDoubts(): Promise<void> {
    const { line } = this.#parts;
    return this.#doubtful.settle(this.#term, {
      begin: (placed, place) => this.#begin(placed, place),
      note: (jobId) => line.note(jobId),
    });
  }

  #begin(placed: Adopted, { job, isRetry }: Pick<DoubtfulPlace, 'job' | 'isRetry'>): void {
    const { clock, begin, tracer } = this.#parts;
    this.#dispatches.add(clock.monotonic(), isRetry);
    traceWait(tracer, job, placed.subject.attempt.startedAt, 'dispatched');
    begin(placed);
  }

  async #place({ jobId, instanceId, slot, isRetry, overtakes }: Assignment): Promise<void> {
    const { fleet, line, ids } = this.#parts;
    const job = line.queue.get(jobId);
    const member = fleet.member(instanceId);
    if (!job || !member) return;
    line.queue.remove(jobId);
    this.#placing.set(jobId, 'wanted');
    const placement = { job, member, slot, attemptId: ids() };
    try {
      const subject = await placeJob(this.#parts, placement, this.#term);
      const canceled = this.#placing.get(jobId) === 'not wanted';
      if (subject) {
        line.queue.overtake(overtakes);
        this.#begin({ subject, canceled }, { job, isRetry });
        // canceled before, or the place is still taken: its row tells
      } else line.note(jobId);
    } catch (error) {
      this.#doubtful.add({ ...placement, isRetry });
      throw error;
    } finally {
      this.#placing.delete(jobId);
    }
  }
}
