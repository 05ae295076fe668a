/**
 * What one tenant with thousands of jobs does to nine with ten each: the waits of the small ones beside the same run without
 * the large one.
 */

import { quantile } from '../statistics.ts';
import { atOnce, type Demand, jobList } from './arrivals.ts';
import { waitMs } from './figures.ts';
import { equalFleet, modelLoads, modelNames } from './fleets.ts';
import { type Job, type Policy, type Scenario, simulate } from './world.ts';

const MODELS = modelNames(6);
const LARGE = 'large';
const SMALL = Array.from({ length: 9 }, (_, n) => `small${n}`);

export interface Neighbours {
  readonly aloneMs: number;
  readonly besideMs: number;
}

/** p95 of the small tenants' waits. */
export function neighbours(make: () => Policy, seed: number): Neighbours {
  const small = SMALL.flatMap((tenant, n) => jobsOf(tenant, 10, seed + 1 + n));
  const large = jobsOf(LARGE, 5000, seed);
  const p95 = (jobs: readonly Job[]): number => {
    const { runs } = simulate(scenarioOf(jobs, seed), make());
    return quantile(runs.filter(({ job }) => job.tenant !== LARGE).map(waitMs), 0.95);
  };
  return { aloneMs: p95(small), besideMs: p95([...large, ...small]) };
}

function jobsOf(tenant: string, jobs: number, seed: number): Job[] {
  const demand: Demand = { seed, jobs, models: MODELS, gapMs: atOnce, tenants: { [tenant]: 1 } };
  return jobList(demand).map((job) => ({ ...job, id: `${tenant} ${job.id}` }));
}

function scenarioOf(jobs: readonly Job[], seed: number): Scenario {
  return { machines: equalFleet(8), loadMs: modelLoads(MODELS, seed), jobs };
}
