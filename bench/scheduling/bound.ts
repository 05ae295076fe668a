/**
 * The shortest time in which a list of jobs can be run at all, whoever plans: by somebody who knows everything beforehand, may load
 * models without a job, split jobs at will over all instances, and evict what suits him.
 *
 * A schedule that ends at T obeys, whatever it is (s_i: speeds, W: all work, W_m: work of model m, L_m: its load; memories are
 * empty at first):
 *
 * 1. A job runs on one instance, no faster than on the fastest, after it has arrived and after a load of its model there, which
 *    began at 0 or later. So T >= max(arrival, L_m) + work / s_max for every job.
 * 2. What arrives at r or later is run after r, by all instances together at most. So T >= r + (its work) / sum s_i for every r.
 *    (Loads are left out: they may have been done before.)
 * 3. Let k_m be the number of instances that load model m. Each of them gives m at most s_i (T - L_m), so the k_m fastest
 *    instances must have sum s_i (T - L_m) >= W_m: this gives a least k_m(T), which falls as T grows. Let l_i be what instance i spends
 *    loading. Then sum l_i >= D(T) := sum over m of k_m(T) L_m, and an instance that runs anything has loaded something: l_i >= l := the
 *    smallest L_m; one that runs nothing may as well be thought to load all the time, l_i = T, which only adds to the sum. Since
 *    instance i does at most s_i (T - l_i) of the work, W <= the greatest of sum s_i (T - l_i) over all l_i in [min(l, T), T] with
 *    sum l_i >= D(T). That greatest value is reached by giving everybody l and the rest of D(T) to the slowest instances first.
 *    As T grows, D(T) falls and every T - l_i may grow, so what cannot be done by T cannot be done earlier: the least T is found by halving.
 *
 * The bound is the largest of the three. (Checked against the best of all schedules of small cases by a test.)
 */
import type { Scenario } from './world.ts';

/** In ms, rounded down a little by the search: still a bound. */
export function makespanBound(scenario: Scenario): number {
  return Math.max(longestJob(scenario), lateWork(scenario), loadsAndWork(scenario));
}

function longestJob({ machines, jobs, loadMs }: Scenario): number {
  const fastest = Math.max(...machines.map(({ speed }) => speed));
  return jobs.reduce(
    (latest, { at, model, workMs }) =>
      Math.max(latest, Math.max(at, loadMs.get(model) ?? 0) + workMs / fastest),
    0,
  );
}

function lateWork({ machines, jobs }: Scenario): number {
  const speed = machines.reduce((sum, machine) => sum + machine.speed, 0);
  let work = 0;
  let latest = 0;
  for (const { at, workMs } of jobs.toReversed()) {
    work += workMs;
    latest = Math.max(latest, at + work / speed);
  }
  return latest;
}

function loadsAndWork(scenario: Scenario): number {
  const workOf = new Map<string, number>();
  for (const { model, workMs } of scenario.jobs) workOf.set(model, (workOf.get(model) ?? 0) + workMs);
  const models = [...workOf].map(([model, work]) => ({ work, loadMs: scenario.loadMs.get(model) ?? 0 }));
  const speeds = scenario.machines.map(({ speed }) => speed).sort((a, b) => a - b);
  let impossible = 0;
  let possible = 1;
  while (!isPossible(possible, speeds, models)) possible *= 2;
  for (let step = 0; step < 50; step++) {
    const middle = (impossible + possible) / 2;
    if (isPossible(middle, speeds, models)) possible = middle;
    else impossible = middle;
  }
  return impossible;
}

interface ModelWork {
  readonly work: number;
  readonly loadMs: number;
}

/** Whether the necessary condition 3 holds; `speeds` slowest first. */
function isPossible(time: number, speeds: readonly number[], models: readonly ModelWork[]): boolean {
  let loads = 0;
  for (const model of models) {
    const copies = leastCopies(time, speeds, model);
    if (copies === null) return false;
    loads += copies * model.loadMs;
  }
  const least = Math.min(time, ...models.map(({ loadMs }) => loadMs));
  let rest = Math.max(0, loads - least * speeds.length);
  let capacity = 0;
  for (const speed of speeds) {
    const more = Math.min(rest, time - least);
    rest -= more;
    capacity += speed * (time - least - more);
  }
  return rest <= 0 && capacity >= models.reduce((sum, { work }) => sum + work, 0);
}

function leastCopies(time: number, speeds: readonly number[], { work, loadMs }: ModelWork): number | null {
  let done = 0;
  for (let copies = 0; copies <= speeds.length; copies++) {
    if (done >= work) return copies;
    done += (speeds.at(-1 - copies) ?? 0) * Math.max(0, time - loadMs);
  }
  return null;
}
