import fc from 'fast-check';
import { expect, test } from 'vitest';
import { makespanBound } from '../../bench/scheduling/bound.ts';
import type { Job, Machine, Scenario } from '../../bench/scheduling/world.ts';

const models = ['a', 'b', 'c'];

const scenarios = fc
  .record({
    machines: fc.array(
      fc.record({ speed: fc.constantFrom(0.5, 1, 2), resident: fc.integer({ min: 1, max: 2 }) }),
      { minLength: 1, maxLength: 3 },
    ),
    loads: fc.tuple(
      fc.integer({ max: 30, min: 0 }),
      fc.integer({ max: 30, min: 0 }),
      fc.integer({ max: 30, min: 0 }),
    ),
    jobs: fc.array(
      fc.record({
        model: fc.constantFrom(...models),
        workMs: fc.integer({ min: 1, max: 60 }),
        at: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 100 })),
      }),
      { minLength: 1, maxLength: 6 },
    ),
  })
  .map(
    ({ machines, loads, jobs }): Scenario => ({
      machines: machines.map((machine, n) => ({ ...machine, id: `g${n}` })),
      loadMs: new Map(models.map((model, n) => [model, loads[n] ?? 0])),
      jobs: jobs
        .map((job, n): Job => ({ ...job, id: `j${n}`, workflow: 'w', tenant: 'one', priority: 5 }))
        .sort((a, b) => a.at - b.at),
    }),
  );

test('no schedule of a small case ends before the bound, not even the best of all of them', () => {
  fc.assert(
    fc.property(scenarios, (scenario) => {
      expect(makespanBound(scenario)).toBeLessThanOrEqual(bestMakespan(scenario) + 1e-6);
    }),
    { numRuns: 300 },
  );
});

test('the bound is met where nothing stands in the way of it', () => {
  const jobs = Array.from({ length: 6 }, (_, n) => job(n, n < 3 ? 'a' : 'b'));
  const machines = [machine(0), machine(1)];
  const scenario = {
    machines,
    loadMs: new Map([
      ['a', 10],
      ['b', 10],
    ]),
    jobs,
  };
  expect(makespanBound(scenario)).toBeCloseTo(160, 6);
  expect(bestMakespan(scenario)).toBe(160);
});

function job(n: number, model: string): Job {
  return { id: `j${n}`, tenant: 'one', priority: 5, model, workflow: 'w', workMs: 50, at: 0 };
}

function machine(n: number): Machine {
  return { id: `g${n}`, speed: 1, resident: 1 };
}

/** By trying everything: every division of the jobs among the instances, every order, every choice of what leaves memory. */
function bestMakespan(scenario: Scenario): number {
  const all = (1 << scenario.jobs.length) - 1;
  const ends = scenario.machines.map((one) => endsOf(one, scenario));
  const best = (index: number, left: number): number => {
    const mine = ends[index];
    if (!mine) return left === 0 ? 0 : Number.POSITIVE_INFINITY;
    let least = Number.POSITIVE_INFINITY;
    for (let subset = left; ; subset = (subset - 1) & left) {
      least = Math.min(least, Math.max(mine[subset] as number, best(index + 1, left & ~subset)));
      if (subset === 0) return least;
    }
  };
  return best(0, all);
}

/** For every set of jobs (as bits) the earliest time at which the instance has run them. */
function endsOf({ speed, resident }: Machine, { jobs, loadMs }: Scenario): number[] {
  const count = 1 << jobs.length;
  // of two ways to the same set and the same memory the one that ends first is never worse: it may wait
  const states = Array.from({ length: count }, () => new Map<string, number>());
  states[0]?.set('', 0);
  for (let done = 0; done < count; done++) {
    for (const [held, time] of states[done] ?? []) {
      for (const [n, { model, workMs, at }] of jobs.entries()) {
        if (done & (1 << n)) continue;
        const memory = held === '' ? [] : held.split(' ');
        const isWarm = memory.includes(model);
        const end = Math.max(at, time + (isWarm ? 0 : (loadMs.get(model) ?? 0))) + workMs / speed;
        for (const next of isWarm ? [memory] : withModel(memory, model, resident)) {
          const known = states[done | (1 << n)] as Map<string, number>;
          const key = next.toSorted().join(' ');
          known.set(key, Math.min(known.get(key) ?? Number.POSITIVE_INFINITY, end));
        }
      }
    }
  }
  return states.map((ways) => Math.min(...ways.values()));
}

/** Every memory that may be left by loading the model. */
function withModel(memory: readonly string[], model: string, resident: number): string[][] {
  if (memory.length < resident) return [[...memory, model]];
  return memory.map((victim) => [...memory.filter((one) => one !== victim), model]);
}
