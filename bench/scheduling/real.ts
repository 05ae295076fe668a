/**
 * The same planner twice on the same jobs, which come at the same times: in virtual time, and in a gateway with eight simulated
 * instances, each a process of its own, that really wait for their models. The share of jobs that found their model in memory
 * is read from what the instances say they ran, in their own order.
 *
 * On such short jobs what a gateway needs between two of them counts: it is measured first, with jobs of a model that
 * nobody else asks for, and belongs to every job of the virtual time, and to the utilisation; and once more after them: a
 * machine that did other work meanwhile makes the two differ, and the comparison void. BENCH_JOBS sets the size.
 */
import { randomFrom } from '../../chaos/scenario.ts';
import { median } from '../statistics.ts';
import { equalFleet, modelNames } from './fleets.ts';
import { ours } from './policies/ours.ts';
import { chooser, exponential, zipf } from './random.ts';
import {
  type FleetJob,
  INSTANCES,
  LOAD_MS,
  type RealFleet,
  type RealRun,
  STEP_MS,
  withFleet,
} from './real-fleet.ts';
import { type Job, type Scenario, simulate } from './world.ts';

const JOBS = Number(process.env.BENCH_JOBS ?? 300);
const SEEDS = [11, 12, 13];
const MODELS = modelNames(6).map((name) => `${name}.safetensors`);
const UTILISATION = 0.8;
const OTHER_MODEL = 'other.safetensors';
const FEWEST_STEPS = 10;
const MOST_STEPS = 30;
const MEAN_STEPS = (FEWEST_STEPS + MOST_STEPS) / 2;
const ROUNDS_BEFORE = 6;

export async function real(): Promise<void> {
  console.log(
    `\nThe same ${JOBS} jobs in virtual time and on ${INSTANCES} processes: ${MODELS.length} models, 1 resident, load ${LOAD_MS} ms,`,
  );
  console.log(
    `jobs of ${FEWEST_STEPS * STEP_MS} to ${MOST_STEPS * STEP_MS} ms, Poisson, utilisation ${UTILISATION}; warm hits`,
  );
  for (const seed of SEEDS) {
    await withFleet([...MODELS, OTHER_MODEL], (fleet) => compare(fleet, seed));
  }
  console.log('  -> aim: ratio 0.90 to 1.10');
}

async function compare(fleet: RealFleet, seed: number): Promise<void> {
  const overheadMs = await overheadOf(fleet, 'before');
  const jobs = jobList(seed, overheadMs);
  const measured = warmShare(await fleet.run(jobs));
  const laterMs = await overheadOf(fleet, 'after');
  const { runs } = simulate(scenarioOf(jobs), ours());
  const simulated = runs.filter(({ loadMs }) => loadMs === 0).length / runs.length;
  const shares = [simulated, measured].map((share) => `${(share * 100).toFixed(1)} %`);
  console.log(
    `  seed ${seed}: virtual ${shares[0]}, gateway ${shares[1]}, ratio ${(measured / simulated).toFixed(3)} (between jobs ${overheadMs.toFixed(0)} ms, after the run ${laterMs.toFixed(0)} ms)`,
  );
}

/** What an instance that always has work spends on a job beside its steps, ms. */
async function overheadOf(fleet: RealFleet, name: string): Promise<number> {
  const one = (n: number): FleetJob => ({ id: `${name} ${n}`, model: OTHER_MODEL, steps: MEAN_STEPS, at: 0 });
  const ran = await fleet.run(Array.from({ length: ROUNDS_BEFORE * INSTANCES }, (_, n) => one(n)));
  const gaps = ran.flatMap((runs) =>
    runs.slice(2).map((run, n) => run.startedAt - (runs[n + 1] as RealRun).startedAt),
  );
  return median(gaps) - MEAN_STEPS * STEP_MS;
}

function jobList(seed: number, overheadMs: number): (Job & FleetJob)[] {
  const random = randomFrom(seed);
  const model = chooser(MODELS, (_, index) => zipf(index));
  const gapMs = (MEAN_STEPS * STEP_MS + overheadMs) / (UTILISATION * INSTANCES);
  let at = 0;
  return Array.from({ length: JOBS }, (_, n) => {
    at += exponential(random, gapMs);
    const steps = FEWEST_STEPS + Math.floor((MOST_STEPS - FEWEST_STEPS + 1) * random());
    return {
      id: `j${String(n).padStart(6, '0')}`,
      tenant: 'one',
      priority: 5,
      model: model(random),
      workflow: 'raw',
      workMs: steps * STEP_MS + overheadMs,
      at: Math.round(at),
      steps,
    };
  });
}

function scenarioOf(jobs: readonly Job[]): Scenario {
  return { machines: equalFleet(INSTANCES), loadMs: new Map(MODELS.map((model) => [model, LOAD_MS])), jobs };
}

function warmShare(ran: readonly (readonly RealRun[])[]): number {
  const warm = ran.map((runs) => runs.filter(({ model }, n) => n > 0 && runs[n - 1]?.model === model).length);
  return warm.reduce((sum, count) => sum + count, 0) / ran.flat().length;
}
