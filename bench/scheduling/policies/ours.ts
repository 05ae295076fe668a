/**
 * The scheduler's own parts in virtual time: its queue, its planner, its fair shares and counts of overtaking, and what it
 * learns from its runs: how long they take, and what most likely is in memory. Of the truth it gets what the real one
 * gets: that a job came, and that it ended.
 */
import type { Needs } from '../../../src/domain/capabilities.ts';
import { sameForAll } from '../../../src/domain/tenant-limits.ts';
import type { Expectation } from '../../../src/scheduler/forecast/expectation.ts';
import { Learning } from '../../../src/scheduler/forecast/learning.ts';
import type { Candidate } from '../../../src/scheduler/planning/candidate.ts';
import { EVEN_SHARES, type Shares } from '../../../src/scheduler/planning/fair-share.ts';
import { PendingQueue } from '../../../src/scheduler/planning/pending-queue.ts';
import { plan } from '../../../src/scheduler/planning/planner.ts';
import type { Db } from '../../../src/store/open.ts';
import type { End, Job, Policy, Start, World } from '../world.ts';
import { newCandidate, pendingJob } from './as-seen.ts';

/** PRIORITY_AGEING_MS as it is when nobody sets it. */
const AGEING_MS = 300_000;

export function ours(): Policy {
  const leader = new Leader();
  return {
    came: (job, world) => leader.came(job, world),
    ended: (end, world) => leader.ended(end, world),
    starts: (world) => leader.starts(world),
  };
}

class Leader {
  readonly #queue = new PendingQueue();
  readonly #jobs = new Map<string, Job>();
  readonly #needs = new Map<string, Needs>();
  readonly #expected = new Map<string, Expectation>();
  readonly #running = new Map<string, number>();
  readonly #learning = new Learning({
    db: NO_ROWS,
    needsOf: (key) => this.#needs.get(key),
    onLoaded: () => undefined,
  });
  #candidates: Candidate[] = [];
  #cursor = 0;
  #shares: Shares = EVEN_SHARES;
  /** Something happened since the last plan. */
  #isNews = false;

  came(job: Job, { now, scenario }: World): void {
    if (this.#candidates.length === 0) this.#candidates = scenario.machines.map(({ id }) => newCandidate(id));
    this.#needs.set(job.model, { nodeTypes: [], models: [job.model] });
    this.#jobs.set(job.id, job);
    this.#queue.put(pendingJob(job), now);
    this.#isNews = true;
  }

  ended({ machine, job, tookMs }: End, { scenario }: World): void {
    const expectation = job && this.#expected.get(job.id);
    if (!job || !expectation) return;
    this.#expected.delete(job.id);
    this.#learning.succeeded(expectation, tookMs);
    this.#running.set(job.tenant, (this.#running.get(job.tenant) ?? 0) - 1);
    this.#see(machine, scenario.machines[machine]?.id ?? '', { takenSlots: [], endsAt: [] });
    this.#isNews = true;
  }

  starts({ now }: World): Start[] {
    if (!this.#isNews) return [];
    this.#isNews = false;
    const { assignments, cursor, shares } = plan(
      {
        pending: this.#queue,
        needs: this.#needs,
        candidates: this.#candidates,
        maxConcurrentJobs: null,
        retryBudgetPercent: 10,
        recent: { all: 0, retries: 0 },
        mostAtOnce: Number.POSITIVE_INFINITY,
        storageAway: false,
        cursor: this.#cursor,
        shares: this.#shares,
        ageingMs: AGEING_MS,
        limitsOf: sameForAll,
        running: this.#running,
        estimates: this.#learning.estimates,
      },
      now,
    );
    this.#cursor = cursor;
    this.#shares = shares;
    return assignments.map(({ jobId, instanceId, overtakes }) => {
      const job = this.#jobs.get(jobId) as Job;
      this.#jobs.delete(jobId);
      this.#queue.remove(jobId);
      this.#queue.overtake(overtakes);
      const machine = this.#candidates.findIndex(({ id }) => id === instanceId);
      this.#begin(job, machine, instanceId, now);
      return { machine, job };
    });
  }

  #begin(job: Job, machine: number, instanceId: string, now: number): void {
    const expectation = this.#learning.begins({ workflow: job.workflow, needsKey: job.model, instanceId });
    this.#expected.set(job.id, expectation);
    this.#running.set(job.tenant, (this.#running.get(job.tenant) ?? 0) + 1);
    const { runMs } = expectation;
    this.#see(machine, instanceId, { takenSlots: [0], endsAt: [runMs === null ? null : now + runMs] });
  }

  #see(machine: number, id: string, places: Pick<Candidate, 'takenSlots' | 'endsAt'>): void {
    this.#candidates[machine] = { ...newCandidate(id), ...places, loadedModels: this.#learning.loaded(id) };
  }
}

/** Only a new leader reads rows, and none comes here. */
const NO_ROWS = undefined as unknown as Db;
