/**
 * A fleet in thought: the planner's own parts, virtual time, and jobs that end when the test says so. Every plan is held
 * against what must never happen.
 */
import { expect } from 'vitest';
import { sameForAll } from '../../../src/domain/tenant-limits.ts';
import { Comebacks } from '../../../src/scheduler/comebacks.ts';
import { type Candidate, isAble, isOpen, isUp } from '../../../src/scheduler/planning/candidate.ts';
import { NO_ESTIMATES } from '../../../src/scheduler/planning/estimates.ts';
import { EVEN_SHARES, type Shares } from '../../../src/scheduler/planning/fair-share.ts';
import { laneOf } from '../../../src/scheduler/planning/lane.ts';
import { PendingQueue } from '../../../src/scheduler/planning/pending-queue.ts';
import type { Assignment, Plan, PlanState } from '../../../src/scheduler/planning/plan-state.ts';
import { plan } from '../../../src/scheduler/planning/planner.ts';
import { BUDGET_WINDOW_MS, DispatchCount } from '../../../src/scheduler/planning/retry-budget.ts';
import type { PendingJob } from '../../../src/store/jobs.ts';
import { candidate } from './candidate.ts';

interface Placed {
  readonly job: PendingJob;
  readonly instanceId: string;
  readonly slot: number;
  readonly at: number;
}

const PERCENT = 10;

export class PlanWorld {
  readonly queue = new PendingQueue();
  /** Everything dispatched so far, in order. */
  readonly dispatched: Placed[] = [];
  running: Placed[] = [];
  now = 0;
  instances: Candidate[];
  /** What plans are made by, where it differs from the plainest. */
  rules: Partial<PlanState>;
  /** As the last plan says. */
  whyHeld: Plan['whyHeld'] = () => null;
  readonly #count = new DispatchCount();
  readonly #comebacks: Comebacks;
  #cursor = 0;
  #shares: Shares = EVEN_SHARES;

  constructor(
    instances: readonly Partial<Candidate>[],
    random: () => number = () => 0,
    rules: Partial<PlanState> = {},
  ) {
    this.rules = rules;
    this.instances = instances.map((fields, index) => candidate({ id: `i${index}`, ...fields }));
    this.#comebacks = new Comebacks(random);
  }

  put(job: PendingJob): void {
    this.queue.put(job, this.now);
  }

  /** Plans once at the present moment and starts what was planned. */
  plan(): Placed[] {
    this.#comebacks.observe(
      this.instances.filter(isUp).map(({ id }) => id),
      this.now,
    );
    const candidates = this.instances.map((it) => this.#asItIs(it));
    const state: PlanState = {
      pending: this.queue,
      needs: new Map(),
      candidates,
      maxConcurrentJobs: null,
      retryBudgetPercent: PERCENT,
      recent: this.#count.recent(this.now),
      mostAtOnce: Number.POSITIVE_INFINITY,
      storageAway: false,
      cursor: this.#cursor,
      shares: this.#shares,
      ageingMs: Number.POSITIVE_INFINITY,
      limitsOf: sameForAll,
      running: this.#byTenant(),
      estimates: NO_ESTIMATES,
      ...this.rules,
    };
    const { assignments, cursor, shares, whyHeld } = plan(state, this.now);
    this.whyHeld = whyHeld;
    this.checkPlan(state, assignments);
    this.#cursor = cursor;
    this.#shares = shares;
    return assignments.map(({ jobId, instanceId, slot, isRetry, overtakes }) => {
      const job = this.queue.get(jobId) as PendingJob;
      const placed = { job, instanceId, slot, at: this.now };
      expect(isOpen(candidates.find(({ id }) => id === instanceId) as Candidate)).toBe(true);
      this.queue.remove(jobId);
      this.queue.overtake(overtakes);
      for (const id of overtakes) expect(this.queue.overtaken(id)).toBeLessThanOrEqual(this.mostOvertaking);
      this.#count.add(this.now, isRetry);
      this.running.push(placed);
      this.dispatched.push(placed);
      this.#check(placed);
      return placed;
    });
  }

  /** The running jobs of which `ends` says so are over. */
  finish(ends: (placed: Placed) => boolean): void {
    this.running = this.running.filter((placed) => !ends(placed));
  }

  /** Told of every plan before it is carried out. */
  checkPlan(_state: PlanState, _assignments: readonly Assignment[]): void {
    // what holds for every world is checked as jobs are placed
  }

  /** K. */
  get mostOvertaking(): number {
    return Math.max(8, 2 * this.instances.length);
  }

  #byTenant(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { job } of this.running) counts.set(job.tenant, (counts.get(job.tenant) ?? 0) + 1);
    return counts;
  }

  #asItIs(it: Candidate): Candidate {
    const here = this.running.filter(({ instanceId }) => instanceId === it.id);
    return {
      ...it,
      takenSlots: here.map(({ slot }) => slot),
      isolated: here.some(({ job }) => job.crashes > 0),
      resting: this.#comebacks.isResting(it.id, this.now),
    };
  }

  #check({ job, instanceId }: Placed): void {
    const instance = this.instances.find(({ id }) => id === instanceId) as Candidate;
    const here = this.running.filter((one) => one.instanceId === instanceId);
    expect(new Set(here.map(({ slot }) => slot)).size).toBe(here.length);
    expect(here.length).toBeLessThanOrEqual(instance.capacity);
    if (here.some((one) => one.job.crashes > 0)) {
      expect(here).toHaveLength(1);
      expect(instance.foreignPrompts).toBe(0);
    }
    const { maxRunning } = (this.rules.limitsOf ?? sameForAll)(job.tenant);
    if (maxRunning !== null) expect(this.#byTenant().get(job.tenant)).toBeLessThanOrEqual(maxRunning);
    const needs = this.rules.needs?.get(job.needsKey);
    if (needs) expect(isAble(instance, needs)).toBe(true);
    if (laneOf(job).isRetry) {
      const recent = this.dispatched.filter(({ at }) => at > this.now - BUDGET_WINDOW_MS);
      const retries = recent.filter((one) => laneOf(one.job).isRetry).length;
      expect(retries).toBeLessThanOrEqual(Math.max(3, (recent.length * PERCENT) / 100));
    }
  }
}
