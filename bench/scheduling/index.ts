/**
 * The planner beside other policies, in virtual time with fixed seeds (nothing depends on the speed of this machine), what it
 * costs, and the same planner driving real instances. BENCH_CASES, a part of their names, leaves the other cases out.
 */
import { type Case, cases } from './cases.ts';
import { explainCosts } from './explain-cost.ts';
import { neighbours } from './neighbours.ts';
import { ours } from './policies/ours.ts';
import { real } from './real.ts';
import { measure, printHead, printRow, type Row, Tuning } from './report.ts';
import { RIVALS, type Setting } from './rivals.ts';
import { roundCosts } from './round-cost.ts';

const OURS: Setting = { label: '', make: ours };
const ONLY = process.env.BENCH_CASES ?? '';

export async function scheduling(): Promise<void> {
  console.log('The policies in virtual time. A wait ends when the job itself runs, its load included.');
  console.log(
    '"of bound": throughput as a part of what no policy can exceed. Push "by time" and "by end" knows',
  );
  console.log(
    'beforehand how long each job takes, which nobody does. Of each rival its best setting by makespan',
  );
  console.log('(batch) or p95 wait (others), found on the first 5,000 jobs of the first seed; with 1,000');
  console.log('instances the best of the four that were best with 100.');
  const tuning = new Tuning();
  for (const one of cases().filter(({ name }) => name.includes(ONLY))) show(one, tuning);
  if (ONLY !== '') return;
  showNeighbours(tuning);
  roundCosts();
  await explainCosts();
  await real();
}

function show(one: Case, tuning: Tuning): void {
  printHead(`${one.name} (${one.scenarios[0]?.jobs.length} jobs, ${one.scenarios.length} seeds)`);
  const rivals = RIVALS.map((rival) => {
    const row = tuning.best(rival, one);
    printRow(row);
    return row;
  });
  const own = measure('ours', OURS, one.scenarios);
  printRow(own);
  judge(one, own, rivals);
}

function judge({ aim, scenarios }: Case, own: Row, rivals: readonly Row[]): void {
  const machines = scenarios[0]?.machines.length ?? 0;
  const limit = Math.max(8, 2 * machines);
  const bypass = `bypass ${own.worstBypass} (aim: at most ${limit})`;
  const p95 = Math.min(...rivals.map((row) => row.p95));
  const main =
    aim === 'makespan'
      ? `throughput ${own.ofBound.toFixed(3)} of the bound (aim: 0.95)`
      : `p95 ${(own.p95 / p95).toFixed(2)} of the best other (aim at 0.8: 0.50)`;
  console.log(`  -> ${main}, ${bypass}`);
}

function showNeighbours(tuning: Tuning): void {
  console.log(
    '\nNine tenants with 10 jobs each, on 8 equal instances: p95 of their waits, alone and beside one that',
  );
  console.log('came just before them with 5,000 jobs');
  const policies = [
    ...RIVALS.map((rival) => ({ name: rival.name, setting: tuning.setting(rival, 'equal batch') })),
    { name: 'ours', setting: OURS },
  ];
  for (const { name, setting } of policies) {
    const seeds = [1, 2, 3].map((seed) => neighbours(setting.make, seed));
    const cells = seeds.map(
      ({ aloneMs, besideMs }) =>
        `${seconds(aloneMs)} ->${seconds(besideMs)} (${(besideMs / aloneMs).toFixed(2)})`,
    );
    console.log(`  ${name.padEnd(28)}${cells.join('   ')}`);
  }
  console.log('  -> aim: 1.50');
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(0)} s`.padStart(8);
}
