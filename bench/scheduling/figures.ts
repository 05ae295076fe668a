/** What a run is judged by. */
import { quantile } from '../statistics.ts';
import type { Outcome, Run } from './world.ts';

export interface Figures {
  readonly makespanMs: number;
  /** From arrival until the job itself runs, its load included, in ms. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  /** Of the time that instances were busy, the part spent loading. */
  readonly loadShare: number;
  readonly loadsPerJob: number;
  /** The most often that one job was overtaken by a later one of the same tenant and priority. */
  readonly worstBypass: number;
}

export function waitMs({ job, startedAt, loadMs }: Run): number {
  return startedAt + loadMs - job.at;
}

export function figuresOf({ runs, bareLoads }: Outcome): Figures {
  const waits = runs.map(waitMs);
  const loads = [...runs.map(({ loadMs }) => loadMs), ...bareLoads].filter((ms) => ms > 0);
  const loading = sum(loads);
  const running = sum(runs.map(({ startedAt, loadMs, endedAt }) => endedAt - startedAt - loadMs));
  return {
    makespanMs: runs.reduce((latest, { endedAt }) => Math.max(latest, endedAt), 0),
    p50: quantile(waits, 0.5),
    p95: quantile(waits, 0.95),
    p99: quantile(waits, 0.99),
    loadShare: loading / (loading + running),
    loadsPerJob: loads.length / runs.length,
    worstBypass: worstBypass(runs),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/**
 * Counted from the starts alone, so that it holds whatever the policy believes: a job is overtaken by each later one of its
 * tenant and priority that starts before it, on an instance that could have run either. (Between tenants the order is one
 * of fair turns, not of arrival: to be passed there is not to be overtaken.)
 */
export function worstBypass(runs: readonly Run[]): number {
  const lines = new Map<string, { readonly job: Run['job']; readonly place: number }[]>();
  for (const [place, { job }] of runs.entries()) {
    const name = `${job.tenant} ${job.priority}`;
    const line = lines.get(name);
    if (line) line.push({ job, place });
    else lines.set(name, [{ job, place }]);
  }
  let worst = 0;
  for (const line of lines.values()) {
    line.sort((a, b) => a.job.at - b.job.at || (a.job.id < b.job.id ? -1 : 1));
    worst = Math.max(worst, mostInversions(line.map(({ place }) => place)));
  }
  return worst;
}

/** The most later entries that are smaller than one entry. Entries are distinct. From the end, with a sorted list of what was seen. */
function mostInversions(places: readonly number[]): number {
  const seen: number[] = [];
  let most = 0;
  for (const place of places.toReversed()) {
    let low = 0;
    let high = seen.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((seen[middle] as number) < place) low = middle + 1;
      else high = middle;
    }
    most = Math.max(most, low);
    seen.splice(low, 0, place);
  }
  return most;
}
