/**
 * What one planning round costs, the view of the instances included, while everything goes its way: all instances work, one
 * place comes free, one job has arrived. An instance keeps the model that ran there last and has four fifths of all of
 * them; demand is Zipf's, so the rounds in which a seldom model must be looked for are among them.
 */
import { randomFrom } from '../../chaos/scenario.ts';
import type { Inventory, Needs } from '../../src/domain/capabilities.ts';
import { sameForAll } from '../../src/domain/tenant-limits.ts';
import type { Candidate } from '../../src/scheduler/planning/candidate.ts';
import { EVEN_SHARES, type Shares } from '../../src/scheduler/planning/fair-share.ts';
import { PendingQueue } from '../../src/scheduler/planning/pending-queue.ts';
import { plan } from '../../src/scheduler/planning/planner.ts';
import { quantile } from '../statistics.ts';
import { newCandidate, pendingJob } from './policies/as-seen.ts';
import { chooser, zipf } from './random.ts';

const TENANTS = Array.from({ length: 100 }, (_, n) => `tenant-${n}`);
const MODELS = Array.from({ length: 50 }, (_, n) => `model-${n}.safetensors`);
const PRIORITIES = [5, 5, 5, 5, 5, 5, 5, 8, 8, 3];
const INVENTORIES = 20;
const AGEING_MS = 300_000;
const GAP_MS = 50;
const WARM_UP = 500;
const ROUNDS = 2000;

export interface RoundCost {
  readonly jobs: number;
  readonly instances: number;
  /** Each in ms. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Measures and prints them at each size. */
export function roundCosts(): RoundCost[] {
  console.log(
    `\nOne planning round (${TENANTS.length} tenants, ${MODELS.length} classes): one place free, ms`,
  );
  console.log('     jobs  instances     p50     p99     max');
  return [100, 1000].flatMap((instances) =>
    [1000, 10_000, 100_000].map((jobs) => {
      const cost = roundCost(jobs, instances);
      const cells = [cost.p50, cost.p99, cost.max].map((ms) => ms.toFixed(2).padStart(7));
      console.log(`${String(jobs).padStart(9)}  ${String(instances).padStart(9)} ${cells.join(' ')}`);
      return cost;
    }),
  );
}

export function roundCost(jobs: number, instances: number): RoundCost {
  const fleet = new BusyFleet(jobs, instances);
  for (let n = 0; n < WARM_UP; n++) fleet.round();
  const samples = Array.from({ length: ROUNDS }, () => fleet.round());
  const [p50, p99, max] = [0.5, 0.99, 1].map((q) => quantile(samples, q)) as [number, number, number];
  return { jobs, instances, p50, p99, max };
}

class BusyFleet {
  readonly #random = randomFrom(1);
  readonly #queue = new PendingQueue();
  readonly #needs: ReadonlyMap<string, Needs>;
  readonly #states: Candidate[];
  readonly #pick = {
    model: chooser(MODELS, (_, rank) => zipf(rank)),
    tenant: chooser(TENANTS, (_, rank) => zipf(rank)),
    priority: chooser(PRIORITIES, () => 1),
  };
  #shares: Shares = EVEN_SHARES;
  #cursor = 0;
  #now = 0;
  #count = 0;

  constructor(jobs: number, instances: number) {
    this.#needs = new Map(MODELS.map((model) => [model, { nodeTypes: ['KSampler'], models: [model] }]));
    const inventories = Array.from({ length: INVENTORIES }, () => this.#inventory());
    this.#states = Array.from({ length: instances }, (_, n) => ({
      ...newCandidate(`i${n}`),
      ...this.#busy(instances),
      inventory: inventories[n % INVENTORIES] ?? null,
      loadedModels: [this.#pick.model(this.#random)],
    }));
    for (let n = 0; n < jobs; n++) this.#arrive();
  }

  /** One place comes free, one job arrives; how long the plan took, in ms. */
  round(): number {
    this.#arrive();
    const free = Math.floor(this.#random() * this.#states.length);
    this.#states[free] = { ...(this.#states[free] as Candidate), takenSlots: [], endsAt: [] };
    const startedAt = performance.now();
    const { assignments, cursor, shares } = plan(this.#planState(), this.#now);
    const took = performance.now() - startedAt;
    this.#cursor = cursor;
    this.#shares = shares;
    for (const { jobId, instanceId, overtakes } of assignments) {
      const at = this.#states.findIndex(({ id }) => id === instanceId);
      const loadedModels = this.#needs.get(this.#queue.get(jobId)?.needsKey ?? '')?.models ?? [];
      this.#states[at] = {
        ...(this.#states[at] as Candidate),
        ...this.#busy(this.#states.length),
        loadedModels,
      };
      this.#queue.remove(jobId);
      this.#queue.overtake(overtakes);
    }
    return took;
  }

  /** With so many instances a place comes free every GAP_MS. */
  #busy(instances: number): Pick<Candidate, 'takenSlots' | 'endsAt'> {
    return { takenSlots: [0], endsAt: [this.#now + 2 * this.#random() * instances * GAP_MS] };
  }

  #planState() {
    return {
      pending: this.#queue,
      needs: this.#needs,
      // as the scheduler does it: a new view of every instance for every plan
      candidates: this.#states.map((state) => ({ ...state })),
      maxConcurrentJobs: null,
      retryBudgetPercent: 10,
      recent: { all: 0, retries: 0 },
      mostAtOnce: Number.POSITIVE_INFINITY,
      storageAway: false,
      cursor: this.#cursor,
      shares: this.#shares,
      ageingMs: AGEING_MS,
      limitsOf: sameForAll,
      running: new Map<string, number>(),
      estimates: { runMs: () => 20_000, loadMs: () => 10_000 },
    };
  }

  #arrive(): void {
    this.#now += GAP_MS;
    const model = this.#pick.model(this.#random);
    const [tenant, priority] = [this.#pick.tenant(this.#random), this.#pick.priority(this.#random)];
    const job = {
      id: `j${this.#count++}`,
      tenant,
      priority,
      model,
      workflow: model,
      workMs: 0,
      at: this.#now,
    };
    this.#queue.put(pendingJob(job), this.#now);
  }

  #inventory(): Inventory {
    const there = MODELS.filter(() => this.#random() < 0.8);
    return { nodeTypes: ['KSampler'], models: there.map((name) => ({ kind: 'checkpoints', name })) };
  }
}
