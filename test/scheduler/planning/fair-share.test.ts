import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_LIMITS } from '../../../src/domain/tenant-limits.ts';
import { EVEN_SHARES, FairShare, type Shares } from '../../../src/scheduler/planning/fair-share.ts';
import { laneOf } from '../../../src/scheduler/planning/lane.ts';
import { type OrderRules, OrderWalk, PLAIN_ORDER } from '../../../src/scheduler/planning/order-walk.ts';
import { PendingQueue, type Turn } from '../../../src/scheduler/planning/pending-queue.ts';
import type { PendingJob } from '../../../src/store/jobs.ts';
import { pendingJob, servedBefore } from './pending-job.ts';
import { PlanWorld } from './plan-world.ts';

function jobsOf(tenant: string, count: number, createdAt: number): PendingJob[] {
  return Array.from({ length: count }, (_, n) => {
    const id = `${tenant}-${String(n).padStart(5, '0')}`;
    return pendingJob({ id, tenant, createdAt: createdAt + n });
  });
}

/** How many dispatches each job of `tenants` waited for, until all of them went, on so many instances. */
function waits(jobs: readonly PendingJob[], instances: number, tenants: ReadonlySet<string>): number[] {
  const world = new PlanWorld(Array.from({ length: instances }, () => ({})));
  for (const job of jobs) world.put(job);
  let left = jobs.filter((job) => tenants.has(job.tenant)).length;
  while (left > 0) {
    world.now += 1000;
    left -= world.plan().filter(({ job }) => tenants.has(job.tenant)).length;
    world.finish(() => true);
  }
  return world.dispatched.flatMap(({ job }, place) => (tenants.has(job.tenant) ? [place + 1] : []));
}

function p95(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * 0.95) - 1] ?? 0;
}

/** The order in which jobs are served one by one, each plan beginning where the last one ended. */
function order(jobs: readonly PendingJob[], rules: Partial<OrderRules> = {}): PendingJob[] {
  const queue = queueOf(jobs);
  let shares: Shares = EVEN_SHARES;
  const served: PendingJob[] = [];
  while (queue.size > 0) {
    const all = { ...PLAIN_ORDER, ...rules, shares };
    const share = new FairShare(all);
    const turn = new OrderWalk(queue.streams(), all).next() as Turn;
    share.dispatched(turn, true);
    shares = share.result(() => true);
    served.push(turn.job);
    queue.remove(turn.job.id);
  }
  return served;
}

function queueOf(jobs: readonly PendingJob[]): PendingQueue {
  const queue = new PendingQueue();
  for (const job of jobs) queue.put(job, 0);
  return queue;
}

describe('fair turns between tenants', () => {
  for (const instances of [1, 4]) {
    it(`let nine small tenants wait hardly longer beside one with 5,000 jobs, on ${instances} instance(s) (F45)`, () => {
      const small = Array.from({ length: 9 }, (_, n) => jobsOf(`small${n}`, 10, 10_000)).flat();
      const tenants = new Set(small.map((job) => job.tenant));
      const without = waits(small, instances, tenants);
      const beside = waits([...jobsOf('big', 5000, 0), ...small], instances, tenants);
      expect(beside).toHaveLength(90);
      expect(p95(beside)).toBeLessThanOrEqual(1.5 * p95(without));
    });
  }

  it('serve a newcomer within one turn of everybody (F45)', () => {
    const world = new PlanWorld([{}]);
    for (const job of ['a', 'b', 'c'].flatMap((tenant) => jobsOf(tenant, 100, 0))) world.put(job);
    for (let n = 0; n < 50; n++) {
      world.plan();
      world.finish(() => true);
    }
    world.put(pendingJob({ id: 'new', tenant: 'new', createdAt: 1_000_000 }));
    for (let n = 0; n < 4; n++) {
      world.plan();
      world.finish(() => true);
    }
    expect(world.dispatched.slice(50).map(({ job }) => job.tenant)).toContain('new');
  });

  const AGEING_MS = 300_000;

  /** `count` plans, one every 20 s, each of which ends what the last one began. */
  function serve(world: PlanWorld, count: number): void {
    for (let n = 0; n < count; n++) {
      world.now += 20_000;
      world.plan();
      world.finish(() => true);
    }
  }

  it('serve a newcomer at once beside a long queue that has aged', () => {
    const world = new PlanWorld([{}], () => 0, { ageingMs: AGEING_MS });
    for (const job of jobsOf('big', 5000, 0)) world.put(job);
    serve(world, 30);
    world.put(pendingJob({ id: 'new', tenant: 'small', createdAt: world.now }));
    serve(world, 2);
    expect(world.dispatched.slice(30).map(({ job }) => job.tenant)).toContain('small');
  });

  it('serve a newcomer after a job for each level of age, when who leads has just changed', () => {
    const world = new PlanWorld([{}], () => 0, { ageingMs: AGEING_MS });
    world.now = 600_000;
    for (const job of jobsOf('big', 5000, 0)) world.put(job);
    world.put(pendingJob({ id: 'new', tenant: 'small', createdAt: world.now }));
    serve(world, 4);
    expect(world.dispatched.map(({ job }) => job.tenant)).toContain('small');
  });

  it('serve a newcomer beside a long queue that has aged when many places are free at once', () => {
    const world = new PlanWorld([{ capacity: 10 }], () => 0, { ageingMs: AGEING_MS });
    world.now = 600_000;
    for (const job of jobsOf('big', 5000, 0)) world.put(job);
    for (const job of jobsOf('small', 4, world.now)) world.put(job);
    const tenants = world.plan().map(({ job }) => job.tenant);
    expect(tenants.filter((tenant) => tenant === 'small')).toHaveLength(4);
  });

  it('let nothing starve behind jobs of the highest priority that keep coming', () => {
    const world = new PlanWorld([{}], () => 0, { ageingMs: AGEING_MS });
    for (const job of jobsOf('low', 5, 0)) world.put({ ...job, priority: 1 });
    for (let n = 0; n < 400; n++) {
      for (const which of ['a', 'b'])
        world.put(pendingJob({ id: `${which}${n}`, tenant: 'high', priority: 10, createdAt: world.now }));
      serve(world, 1);
    }
    // nine levels for the first one, one for each of the others
    const served = world.dispatched.filter(({ job }) => job.tenant === 'low');
    expect(served.map(({ at }) => Math.floor(at / AGEING_MS))).toEqual([9, 10, 11, 12, 13]);
  });

  it('save nothing up for a tenant that had nothing to run', () => {
    const early = jobsOf('a', 40, 0);
    const world = new PlanWorld([{}]);
    for (const job of early) world.put(job);
    const serve = (): void => {
      world.plan();
      world.finish(() => true);
    };
    for (let n = 0; n < 20; n++) serve();
    for (const job of jobsOf('b', 20, 100)) world.put(job);
    for (let n = 0; n < 20; n++) serve();
    const later = world.dispatched.slice(20).map(({ job }) => job.tenant);
    expect(later.filter((tenant) => tenant === 'a')).toHaveLength(10);
  });

  it('let a job whose instance forgot it go first and use up no second turn', () => {
    const returned = pendingJob({ id: 'lost', tenant: 'a', createdAt: 1, attemptCount: 1 });
    const a = jobsOf('a', 3, 10);
    const b = jobsOf('b', 3, 5);
    expect(order([returned, ...a, ...b]).map((job) => job.id)).toEqual([
      'lost',
      'b-00000',
      'a-00000',
      'b-00001',
      'a-00001',
      'b-00002',
      'a-00002',
    ]);
  });

  const anyJobs = (tenants: readonly string[]) =>
    fc.uniqueArray(
      fc
        .record({
          id: fc.integer({ min: 0, max: 99 }).map((n) => `j${n}`),
          tenant: fc.constantFrom(...tenants),
          priority: fc.integer({ min: 1, max: 3 }),
          createdAt: fc.integer({ min: 0, max: 20 }),
          attemptCount: fc.constantFrom(0, 0, 1),
        })
        .map(pendingJob),
      { selector: (job) => job.id, maxLength: 40 },
    );

  it('change nothing for one tenant alone: priority, then arrival', () => {
    fc.assert(
      fc.property(anyJobs(['one']), (jobs) => {
        expect(order(jobs)).toEqual([...jobs].sort(servedBefore));
      }),
    );
  });

  it('never let a tenant that waits fall more than one job behind another of its level', () => {
    fc.assert(
      fc.property(anyJobs(['a', 'b', 'c']), (mixed) => {
        const jobs = mixed.map((job) => ({ ...job, priority: 5, attemptCount: 0 }));
        const served = order(jobs);
        for (let n = 1; n <= served.length; n++) {
          const left = new Set(served.slice(n).map((job) => job.tenant));
          const counts = [...left].map(
            (tenant) => served.slice(0, n).filter((j) => j.tenant === tenant).length,
          );
          expect(Math.max(0, ...counts) - Math.min(...counts, Number.POSITIVE_INFINITY)).toBeLessThanOrEqual(
            1,
          );
        }
      }),
    );
  });

  it('never touch the order of priorities', () => {
    fc.assert(
      fc.property(anyJobs(['a', 'b', 'c']), (jobs) => {
        const levels = order(jobs).map((job) => job.priority);
        expect(levels).toEqual([...levels].sort((x, y) => y - x));
      }),
    );
  });

  it('remember only tenants that are ahead of others', () => {
    let shares: Shares = EVEN_SHARES;
    for (let n = 0; n < 1000; n++) {
      const share = new FairShare({ ...PLAIN_ORDER, shares });
      for (const tenant of [`t${n}`, 'steady', 'steady']) {
        const job = pendingJob({ id: `${tenant}${n}`, tenant });
        share.dispatched({ job, lane: laneOf(job) }, true);
      }
      shares = share.result(() => true);
    }
    expect(shares.ahead.size).toBeLessThanOrEqual(2);
  });

  it('are what a walk over the whole order says, step by step', () => {
    const weights = fc.record({ a: fc.constantFrom(1, 2, 4), b: fc.constantFrom(0.5, 1), c: fc.constant(1) });
    fc.assert(
      fc.property(
        anyJobs(['a', 'b', 'c']),
        weights,
        fc.constantFrom(2, 5, 1000),
        (jobs, weight, ageingMs) => {
          const limitsOf = (tenant: string) => ({ ...NO_LIMITS, weight: weight[tenant as 'a'] });
          const rules = { limitsOf, ageingMs, now: 30 };
          const walk = new OrderWalk(queueOf(jobs).streams(), { ...PLAIN_ORDER, ...rules });
          const walked = jobs.map(() => walk.next()?.job.id);
          expect(walk.next()).toBeNull();
          expect(walked).toEqual(order(jobs, rules).map((job) => job.id));
        },
      ),
    );
  });

  it('are in proportion to the weights, within one job, and follow a weight that changes at once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 }), (a, b) => {
        const weights = new Map([
          ['a', a],
          ['b', 1],
        ]);
        const limitsOf = (tenant: string) => ({ ...NO_LIMITS, weight: weights.get(tenant) ?? 1 });
        const world = new PlanWorld([{}], () => 0, { limitsOf });
        for (const job of [...jobsOf('a', 100, 0), ...jobsOf('b', 100, 0)]) world.put(job);
        const servedOfA = (count: number): number => {
          const before = world.dispatched.length;
          for (let n = 0; n < count; n++) {
            world.plan();
            world.finish(() => true);
          }
          return world.dispatched.slice(before).filter(({ job }) => job.tenant === 'a').length;
        };
        expect(Math.abs(servedOfA(30) - (30 * a) / (a + 1))).toBeLessThanOrEqual(1);
        weights.set('a', b);
        expect(Math.abs(servedOfA(30) - (30 * b) / (b + 1))).toBeLessThanOrEqual(2);
      }),
    );
  });

  it('are shares of time: a tenant whose jobs take four times as long gets a quarter as many', () => {
    const runMs = ({ workflow }: { readonly workflow: string }) => (workflow === 'long' ? 40_000 : 10_000);
    const world = new PlanWorld([{}], () => 0, { estimates: { runMs, loadMs: () => null } });
    for (const job of jobsOf('long', 200, 0)) world.put({ ...job, workflow: 'long' });
    for (const job of jobsOf('short', 200, 0)) world.put(job);
    for (let n = 0; n < 110; n++) {
      world.plan();
      world.finish(() => true);
    }
    // the mean run time is not known before the first ones went
    const long = world.dispatched.slice(10).filter(({ job }) => job.tenant === 'long').length;
    expect(Math.abs(long - 20)).toBeLessThanOrEqual(2);
  });

  it('leave a tenant where it is that cancels all but one of 5,000 jobs', () => {
    const world = new PlanWorld([{}]);
    for (const job of [...jobsOf('big', 5000, 0), ...jobsOf('small', 50, 0)]) world.put(job);
    for (let n = 0; n < 10; n++) {
      world.plan();
      world.finish(() => true);
    }
    for (const job of jobsOf('big', 4999, 0)) world.queue.remove(job.id);
    const served = [1, 2, 3].flatMap(() => {
      const placed = world.plan();
      world.finish(() => true);
      return placed.map(({ job }) => job.tenant);
    });
    expect(served).toContain('big');
  });

  it('let a newcomer begin at the turn, though another went far ahead out of turn', () => {
    const needs = new Map(['x', 'y'].map((model) => [model, { nodeTypes: [], models: [model] }]));
    const world = new PlanWorld([{ loadedModels: ['x'] }], () => 0, { needs });
    const put = (id: string, tenant: string, needsKey: string, createdAt: number): void =>
      world.put(pendingJob({ id, tenant, needsKey, createdAt }));
    put('cold', 'cold', 'y', 0);
    for (let n = 0; n < 30; n++) put(`warm${n}`, 'warm', 'x', 1 + n);
    const serve = (): string => {
      const [placed] = world.plan();
      world.finish(() => true);
      return placed?.job.tenant ?? '';
    };
    for (let n = 0; n < 6; n++) expect(serve()).toBe('warm');
    put('new', 'new', 'x', 1000);
    expect([serve(), serve()]).toContain('new');
  });
});
