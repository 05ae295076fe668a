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

/** The rival with the setting that is best by the figure that the case is about. */
export function best({ name, settings }: Rival, { aim, scenarios }: Case): Row {
  const few = settings.length > 1 ? scenarios.slice(0, 1) : scenarios;
  const rows = settings.map((setting) => ({ setting, row: measure(name, setting, few) }));
  const [first] = rows.toSorted((a, b) => badness(a.row, aim) - badness(b.row, aim));
  if (!first) throw new Error(`${name} has no settings`);
  return few.length === scenarios.length ? first.row : measure(name, first.setting, scenarios);
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
