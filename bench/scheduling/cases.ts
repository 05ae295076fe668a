/**
 * What is measured. Utilisation is the work that arrives by the speed of the whole fleet, loads left out: a policy that loads
 * more has less left for it. The batch has all jobs there from the beginning.
 */
import { atOnce, BY_WORKFLOW, bursts, type Demand, INDEPENDENT, jobList, poisson } from './arrivals.ts';
import { equalFleet, mixedFleet, modelLoads, modelNames, speedOf } from './fleets.ts';
import type { Machine, Scenario } from './world.ts';

/** The figure that the best setting of a rival is chosen by. */
export type Aim = 'makespan' | 'wait';

export interface Case {
  readonly name: string;
  /** Of fleet and load: cases of one kind differ in the number of instances only. */
  readonly kind: string;
  readonly aim: Aim;
  /** One for each seed. */
  readonly scenarios: readonly Scenario[];
}

interface Place {
  readonly name: string;
  readonly kind: string;
  readonly machines: readonly Machine[];
  readonly models: number;
  readonly jobs: number;
  readonly seeds: readonly number[];
  readonly demand?: Pick<Demand, 'tenants' | 'times' | 'priorities'>;
}

const EIGHT_EQUAL: Place = {
  name: '8 equal instances, 6 models, 1 resident',
  kind: 'equal',
  machines: equalFleet(8),
  models: 6,
  jobs: 6000,
  seeds: [1, 2, 3, 4, 5],
};

/** The setting that the bounds of the planner were chosen in: the hardest, as nobody can tell which jobs take long. */
const HARDEST: Place = {
  ...EIGHT_EQUAL,
  name: `${EIGHT_EQUAL.name}, all job times independent (R23)`,
  kind: 'hardest',
  demand: { times: INDEPENDENT },
};

const EIGHT: Place = {
  name: '8 mixed instances, 12 models, 1 to 4 resident',
  kind: 'mixed',
  machines: mixedFleet(8),
  models: 12,
  jobs: 6000,
  seeds: [1, 2, 3],
};

const HUNDRED: Place = {
  name: '100 mixed instances, 40 models, 1 to 4 resident',
  kind: 'mixed',
  machines: mixedFleet(100),
  models: 40,
  jobs: 10_000,
  seeds: [1],
};

/** The same with some tenants and priorities: rivals know neither. */
const HUNDRED_SHARED: Place = {
  ...HUNDRED,
  name: `${HUNDRED.name}, 3 tenants, 2 priorities`,
  demand: { tenants: { large: 70, middle: 20, small: 10 }, priorities: { 5: 90, 8: 10 } },
};

const THOUSAND: Place = {
  name: '1,000 mixed instances, 100 models, 1 to 4 resident',
  kind: 'mixed',
  machines: mixedFleet(1000),
  models: 100,
  jobs: 12_000,
  seeds: [1],
};

/** Smaller fleets first: what was found there is tried on larger ones. */
export function cases(): Case[] {
  const utilisations = [0.6, 0.8, 0.9];
  return [
    ...[EIGHT_EQUAL, EIGHT, HUNDRED, THOUSAND].map(batch),
    ...[HARDEST, EIGHT_EQUAL, EIGHT, HUNDRED].flatMap((place) =>
      utilisations.map((utilisation) => stream(place, utilisation, 'Poisson')),
    ),
    stream(HUNDRED_SHARED, 0.8, 'Poisson'),
    ...[EIGHT, HUNDRED].map((place) => stream(place, 0.8, 'bursts')),
    stream(THOUSAND, 0.8, 'Poisson'),
  ];
}

/** The setting of R23, and the same with jobs of workflows. */
export function hardest(utilisation: number, seeds: readonly number[]): Case {
  return stream({ ...HARDEST, seeds }, utilisation, 'Poisson');
}

export function byWorkflow(utilisation: number, seeds: readonly number[]): Case {
  return stream({ ...EIGHT_EQUAL, seeds }, utilisation, 'Poisson');
}

export function batch(place: Place): Case {
  const jobs = Math.min(place.jobs, 3000 + 20 * place.machines.length);
  return {
    name: `batch: ${place.name}`,
    kind: `${place.kind} batch`,
    aim: 'makespan',
    scenarios: scenariosOf({ ...place, jobs }, atOnce),
  };
}

export function stream(place: Place, utilisation: number, arrivals: 'Poisson' | 'bursts'): Case {
  const { meanMs } = place.demand?.times ?? BY_WORKFLOW;
  const gap = meanMs / (utilisation * speedOf(place.machines));
  const gapMs = arrivals === 'Poisson' ? poisson(gap) : bursts(gap);
  return {
    name: `utilisation ${utilisation}, ${arrivals}: ${place.name}`,
    kind: `${place.kind} ${utilisation} ${arrivals}`,
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
