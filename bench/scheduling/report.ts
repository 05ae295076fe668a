/** Runs the cases with every policy and prints the figures side by side. */
import { makespanBound } from './bound.ts';
import type { Aim, Case } from './cases.ts';
import { type Figures, figuresOf } from './figures.ts';
import type { Rival, Setting } from './rivals.ts';
import { type Scenario, simulate } from './world.ts';

export interface Row extends Figures {
  readonly name: string;
  readonly setting: string;
  /** The bound by the makespan, 1 at best; as well the throughput beside what no policy can exceed. */
  readonly ofBound: number;
}

/** The mean over the seeds; the worst of the worst bypasses. */
export function measure(name: string, { label, make }: Setting, scenarios: readonly Scenario[]): Row {
  const all = scenarios.map((scenario) => {
    const figures = figuresOf(simulate(scenario, make()));
    return { ...figures, ofBound: makespanBound(scenario) / figures.makespanMs };
  });
  const mean = (of: (one: (typeof all)[number]) => number): number =>
    all.reduce((sum, one) => sum + of(one), 0) / all.length;
  return {
    name,
    setting: label,
    makespanMs: mean((one) => one.makespanMs),
    ofBound: mean((one) => one.ofBound),
    p50: mean((one) => one.p50),
    p95: mean((one) => one.p95),
    p99: mean((one) => one.p99),
    loadShare: mean((one) => one.loadShare),
    loadsPerJob: mean((one) => one.loadsPerJob),
    worstBypass: Math.max(...all.map((one) => one.worstBypass)),
  };
}

/** Jobs of the list, from its first, that settings are tried on. */
const TRIED_JOBS = 5000;
/** On very large fleets only so many settings are tried: the best ones of the fleet before it. */
const CARRIED_OVER = 4;
const VERY_LARGE = 1000;

/** Finds the setting of each rival that is best by the figure that the case is about. */
export class Tuning {
  /** Of rival and kind of case, best first. */
  readonly #found = new Map<string, readonly Setting[]>();

  best(rival: Rival, { kind, aim, scenarios }: Case): Row {
    const key = `${rival.name} ${kind}`;
    const isLarge = scenarios.some(({ machines }) => machines.length >= VERY_LARGE);
    const settings = isLarge ? this.#found.get(key)?.slice(0, CARRIED_OVER) : null;
    const ranked = rank(settings ?? rival.settings, aim, scenarios);
    this.#found.set(key, ranked);
    return measure(rival.name, ranked[0] as Setting, scenarios);
  }

  /** The best one found for a kind of case. */
  setting({ name, settings }: Rival, kind: string): Setting {
    return (this.#found.get(`${name} ${kind}`) ?? settings)[0] as Setting;
  }
}

/** On the first seed alone. */
function rank(settings: readonly Setting[], aim: Aim, scenarios: readonly Scenario[]): readonly Setting[] {
  if (settings.length === 1) return settings;
  const tried = scenarios.slice(0, 1).map((one) => ({ ...one, jobs: one.jobs.slice(0, TRIED_JOBS) }));
  return settings
    .map((setting) => ({ setting, bad: badness(measure('', setting, tried), aim) }))
    .sort((a, b) => a.bad - b.bad)
    .map(({ setting }) => setting);
}

function badness(row: Row, aim: Aim): number {
  return aim === 'makespan' ? row.makespanMs : row.p95;
}

const HEAD = '   of bound   wait p50    p95    p99   loading  loads/job  worst bypass';

export function printHead(name: string, width = 30): void {
  console.log(`\n${name}\n${' '.repeat(width)}${HEAD}`);
}

export function printRow(row: Row): void {
  const seconds = (ms: number, width: number): string => `${(ms / 1000).toFixed(0)} s`.padStart(width);
  const figures = [
    row.ofBound.toFixed(3).padStart(11),
    seconds(row.p50, 11),
    seconds(row.p95, 7),
    seconds(row.p99, 7),
    `${(row.loadShare * 100).toFixed(1)} %`.padStart(10),
    row.loadsPerJob.toFixed(2).padStart(11),
    String(row.worstBypass).padStart(14),
  ];
  console.log(`  ${row.name.padEnd(28)}${figures.join('')}${row.setting && `   (${row.setting})`}`);
}
