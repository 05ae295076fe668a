/** Long histories of arrivals, ends, cancellations, crashes and changed limits; every plan is held against what must never happen. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Needs } from '../../../src/domain/capabilities.ts';
import { NO_LIMITS, type TenantLimits } from '../../../src/domain/tenant-limits.ts';
import { isAble } from '../../../src/scheduler/planning/candidate.ts';
import type { Estimates } from '../../../src/scheduler/planning/estimates.ts';
import type { Assignment, PlanState } from '../../../src/scheduler/planning/plan-state.ts';
import { plan } from '../../../src/scheduler/planning/planner.ts';
import type { PendingJob } from '../../../src/store/jobs.ts';
import { pendingJob, servedBefore } from './pending-job.ts';
import { PlanWorld } from './plan-world.ts';

const AGEING_MS = 50_000;
const STEP_MS = 10_000;
const MODELS = ['a', 'b', 'c'];
const NEEDS = new Map<string, Needs>([
  ['none', { nodeTypes: [], models: [] }],
  ['a', { nodeTypes: [], models: ['a'] }],
  ['b', { nodeTypes: [], models: ['b'] }],
  ['bc', { nodeTypes: [], models: ['b', 'c'] }],
]);
const ESTIMATES: Estimates = { runMs: () => 3 * STEP_MS, loadMs: () => STEP_MS };
const listing = (models: readonly string[]) => ({
  nodeTypes: [],
  models: models.map((name) => ({ kind: 'checkpoints', name })),
});
/** The first has everything, so that every job can be served. */
const INVENTORIES = [listing(MODELS), listing(['a']), listing(['b', 'c'])];
const having = (...models: string[]) => ({ capacity: 1 as const, inventory: listing(models) });
const everything = having(...MODELS);

const instances = fc
  .array(fc.record({ capacity: fc.constantFrom(1, 1, 2), kind: fc.nat(2) }), { minLength: 1, maxLength: 4 })
  .map((list) =>
    list.map(({ capacity, kind }, n) => ({ capacity, inventory: INVENTORIES[n === 0 ? 0 : kind] ?? null })),
  );

const step = (tenants: readonly string[]) =>
  fc.record({
    arrivals: fc.array(
      fc.record({
        tenant: fc.constantFrom(...tenants),
        priority: fc.constantFrom(1, 5, 5, 10),
        needsKey: fc.constantFrom(...NEEDS.keys(), 'a', 'a'),
      }),
      { maxLength: 4 },
    ),
    ends: fc.array(fc.nat(), { maxLength: 3 }),
    cancels: fc.constantFrom(null, null, null, 0, 3, 7),
    crash: fc.constantFrom(null, null, null, null, 0, 1),
    limits: fc.constantFrom(null, null, null, 1, 2),
  });
type Step = ReturnType<typeof step> extends fc.Arbitrary<infer T> ? T : never;

class History {
  readonly world: PlanWorld;
  readonly #limits = new Map<string, TenantLimits>();
  #count = 0;
  readonly #canceled = new Set<string>();

  constructor(world: PlanWorld) {
    this.world = world;
    world.rules = {
      needs: NEEDS,
      ageingMs: AGEING_MS,
      estimates: ESTIMATES,
      retryBudgetPercent: 100,
      limitsOf: (tenant) => this.#limits.get(tenant) ?? NO_LIMITS,
    };
  }

  take({ arrivals, ends, cancels, crash, limits }: Step): void {
    const { world } = this;
    for (const fields of arrivals) {
      world.put(
        pendingJob({ id: `j${this.#count++}`, createdAt: world.now, workflow: fields.needsKey, ...fields }),
      );
    }
    for (const pick of ends) this.end(pick);
    const victim = cancels === null ? undefined : [...world.queue.ids()][cancels];
    if (victim !== undefined) {
      world.queue.remove(victim);
      this.#canceled.add(victim);
    }
    if (crash !== null) this.#crash(`i${crash}`);
    if (limits !== null) this.#limits.set('t1', { weight: limits, maxQueued: null, maxRunning: limits });
    this.plan();
  }

  plan(): void {
    this.world.plan();
    this.world.now += STEP_MS;
  }

  /** One of those that run is over; what it used is in memory. */
  end(pick: number): void {
    const { world } = this;
    const over = world.running[pick % Math.max(1, world.running.length)];
    world.finish((placed) => placed === over);
    world.instances = world.instances.map((it) =>
      it.id === over?.instanceId
        ? { ...it, loadedModels: [...(NEEDS.get(over.job.needsKey)?.models ?? [])] }
        : it,
    );
  }

  /** Its jobs are forgotten and wait again, at no charge. */
  #crash(id: string): void {
    const { world } = this;
    const lost = world.running.filter((placed) => placed.instanceId === id);
    world.finish((placed) => lost.includes(placed));
    for (const { job } of lost) world.put({ ...job, attemptCount: job.attemptCount + 1, lastInstanceId: id });
    world.instances = world.instances.map((it) => (it.id === id ? { ...it, loadedModels: [] } : it));
  }

  /** Nothing comes any more: all is served in the end. */
  drain(luck: readonly number[]): void {
    const { world } = this;
    const left = world.queue.size + world.running.length;
    for (let round = 0; world.queue.size > 0; round++) {
      this.plan();
      this.end(luck[round % luck.length] ?? 0);
      expect(round).toBeLessThan(20 * left + 40);
    }
    const seen = new Set([...this.#canceled, ...world.dispatched.map(({ job }) => job.id)]);
    expect(seen.size).toBe(this.#count);
  }
}

/** The same state gives the same plan, and no job goes before another one of its lane that came first. */
class HistoryWorld extends PlanWorld {
  override checkPlan(state: PlanState, assignments: readonly Assignment[]): void {
    expect(plan(state, this.now).assignments).toEqual(assignments);
    const going = new Set(assignments.map(({ jobId }) => jobId));
    for (const lane of this.queue.lanes()) {
      const ids = lane.jobs.map(({ id }) => id);
      const places = ids.map((id) =>
        going.has(id) ? assignments.findIndex((a) => a.jobId === id) : Infinity,
      );
      expect(places).toEqual([...places].sort((a, b) => a - b));
      expect(ids).toEqual([...lane.jobs].sort(servedBefore).map(({ id }) => id));
    }
  }
}

/** Knows the order by itself, as there is one tenant that does not age: who is overtaken is counted apart from the planner. */
class OneTenantWorld extends HistoryWorld {
  override checkPlan(state: PlanState, assignments: readonly Assignment[]): void {
    super.checkPlan(state, assignments);
    const left = new Map([...this.queue.ids()].map((id) => [id, this.queue.get(id) as PendingJob]));
    for (const { jobId, instanceId, overtakes } of assignments) {
      const job = left.get(jobId) as PendingJob;
      left.delete(jobId);
      const there = state.candidates.find(({ id }) => id === instanceId);
      const passed = [...left.values()].filter(
        (other) => servedBefore(other, job) < 0 && there && isAble(there, NEEDS.get(other.needsKey) as Needs),
      );
      expect(new Set(overtakes)).toEqual(new Set(passed.map(({ id }) => id)));
    }
  }
}

describe('the planner, in long histories', () => {
  const luck = fc.array(fc.nat(), { minLength: 1 });

  it('keeps one prompt to a place, sends nothing where it cannot run, keeps lanes in order, caps, and bypasses to K', () => {
    fc.assert(
      fc.property(
        instances,
        fc.array(step(['t1', 't2', 't3']), { maxLength: 40 }),
        luck,
        (fleet, steps, ends) => {
          const history = new History(new HistoryWorld(fleet));
          for (const one of steps) history.take(one);
          history.drain(ends);
        },
      ),
    );
  });

  it('names exactly those that are overtaken, by a count apart from its own', () => {
    fc.assert(
      fc.property(instances, fc.array(step(['t2']), { maxLength: 40 }), luck, (fleet, steps, ends) => {
        const history = new History(new OneTenantWorld(fleet));
        history.world.rules = { ...history.world.rules, ageingMs: Number.POSITIVE_INFINITY };
        for (const one of steps) history.take(one);
        history.drain(ends);
      }),
    );
  });
});

describe('a job of low priority whose model is nowhere in memory', () => {
  const adversary = fc.array(
    fc.record({
      tenant: fc.constantFrom('mine', 't1', 't2', 't3'),
      priority: fc.constantFrom(1, 5, 9, 10),
      needsKey: fc.constantFrom(...NEEDS.keys()),
    }),
    { minLength: 1, maxLength: 5 },
  );

  it('is served, though ever more urgent and warmer jobs keep coming, of its own tenant too', () => {
    fc.assert(
      fc.property(instances, adversary, (fleet, others) => {
        const history = new History(new HistoryWorld(fleet));
        const { world } = history;
        world.put(pendingJob({ id: 'low', tenant: 'mine', priority: 1, needsKey: 'bc', createdAt: 0 }));
        const isServed = (): boolean => world.dispatched.some(({ job }) => job.id === 'low');
        for (let round = 0; !isServed(); round++) {
          for (const [n, fields] of others.entries()) {
            world.put(pendingJob({ id: `o${round}-${n}`, createdAt: world.now, ...fields }));
          }
          history.plan();
          history.end(round);
          // ten priorities up, then a turn of each tenant and K overtakings, on the places there are
          expect(round).toBeLessThan(400);
        }
      }),
      {
        numRuns: 50,
        // the turn moved on with what its own tenant ran elsewhere; and so did the age of its stream
        examples: [
          [
            [everything, having('a'), everything],
            [
              { tenant: 't3', priority: 1, needsKey: 'none' },
              { tenant: 'mine', priority: 9, needsKey: 'bc' },
              { tenant: 't3', priority: 10, needsKey: 'bc' },
            ],
          ],
          [
            [everything, having('a')],
            [
              { tenant: 'mine', priority: 10, needsKey: 'b' },
              { tenant: 'mine', priority: 1, needsKey: 'none' },
              { tenant: 'mine', priority: 9, needsKey: 'none' },
            ],
          ],
        ],
      },
    );
  });
});
