/**
 * What is measured. Utilisation is the work that arrives by the speed of the whole fleet, loads left out: a policy that loads
 * more has less left for it. The batch has all jobs there from the beginning.
 */
import { atOnce, bursts, type Demand, jobList, MEAN_WORK_MS, poisson } from './arrivals.ts';
import { equalFleet, mixedFleet, modelLoads, modelNames, speedOf } from './fleets.ts';
import type { Machine, Scenario } from './world.ts';

/** The figure that the best setting of a rival is chosen by. */
export type Aim = 'makespan' | 'wait';

export interface Case {
  readonly name: string;
  readonly aim: Aim;
  /** One for each seed. */
  readonly scenarios: readonly Scenario[];
}

interface Place {
  readonly name: string;
  readonly machines: readonly Machine[];
  readonly models: number;
  readonly jobs: number;
  readonly seeds: readonly number[];
  readonly demand?: Pick<Demand, 'tenants' | 'priorities'>;
}

/** The setting that the bounds of the planner were chosen in: the hardest, as every change of model is a load. */
const EIGHT_EQUAL: Place = {
  name: '8 equal instances, 6 models, 1 resident',
  machines: equalFleet(8),
  models: 6,
  jobs: 6000,
  seeds: [1, 2, 3, 4, 5],
};

const EIGHT: Place = {
  name: '8 mixed instances, 12 models, 1 to 4 resident',
  machines: mixedFleet(8),
  models: 12,
  jobs: 6000,
  seeds: [1, 2, 3],
};

const HUNDRED: Place = {
  name: '100 mixed instances, 40 models, 1 to 4 resident',
  machines: mixedFleet(100),
  models: 40,
  jobs: 10_000,
  seeds: [1],
  demand: { tenants: { large: 70, middle: 20, small: 10 }, priorities: { 5: 90, 8: 10 } },
};

const THOUSAND: Place = {
  name: '1,000 mixed instances, 100 models, 1 to 4 resident',
  machines: mixedFleet(1000),
  models: 100,
  jobs: 20_000,
  seeds: [1],
};

/** At least that many jobs a case are dropped in the quick version of the whole. */
export function cases(): Case[] {
  return [
    batch(EIGHT_EQUAL),
    batch(EIGHT),
    batch({ ...HUNDRED, demand: {} }),
    batch(THOUSAND),
    ...[0.6, 0.8, 0.9].map((utilisation) => stream(EIGHT_EQUAL, utilisation, 'Poisson')),
    ...[0.6, 0.8, 0.9].map((utilisation) => stream(EIGHT, utilisation, 'Poisson')),
    stream(EIGHT, 0.8, 'bursts'),
    ...[0.6, 0.8, 0.9].map((utilisation) => stream(HUNDRED, utilisation, 'Poisson')),
    stream(HUNDRED, 0.8, 'bursts'),
    stream(THOUSAND, 0.8, 'Poisson'),
  ];
}

/** The setting of R23. */
export function hardest(utilisation: number, seeds: readonly number[] = EIGHT_EQUAL.seeds): Case {
  return stream({ ...EIGHT_EQUAL, seeds }, utilisation, 'Poisson');
}

export function batch(place: Place): Case {
  const jobs = Math.min(place.jobs, 3000 + 20 * place.machines.length);
  return {
    name: `batch: ${place.name}`,
    aim: 'makespan',
    scenarios: scenariosOf({ ...place, jobs }, atOnce),
  };
}

export function stream(place: Place, utilisation: number, arrivals: 'Poisson' | 'bursts'): Case {
  const gap = MEAN_WORK_MS / (utilisation * speedOf(place.machines));
  const gapMs = arrivals === 'Poisson' ? poisson(gap) : bursts(gap);
  return {
    name: `utilisation ${utilisation}, ${arrivals}: ${place.name}`,
    aim: 'wait',
    scenarios: scenariosOf(place, gapMs),
  };
}

function scenariosOf({ machines, models, jobs, seeds, demand }: Place, gapMs: Demand['gapMs']): Scenario[] {
  const names = modelNames(models);
  return seeds.map((seed) => ({
    machines,
    loadMs: modelLoads(names, seed),
    jobs: jobList({ ...demand, seed, jobs, models: names, gapMs }),
  }));
}
