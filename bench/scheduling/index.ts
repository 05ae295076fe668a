/**
 * The planner beside other policies, in virtual time with fixed seeds (nothing depends on the speed of this machine), what it
 * costs, and the same planner driving real instances. BENCH_CASES, a part of their names, leaves the other cases out.
 */
import { type Case, cases } from './cases.ts';
import { explainCosts } from './explain-cost.ts';
import { neighbours } from './neighbours.ts';
import { ours } from './policies/ours.ts';
import { real } from './real.ts';
import { best, measure, printHead, printRow, type Row } from './report.ts';
import { RIVALS } from './rivals.ts';
import { roundCosts } from './round-cost.ts';

const ONLY = process.env.BENCH_CASES ?? '';

export async function scheduling(): Promise<void> {
  console.log('The policies in virtual time. A wait ends when the job itself runs, its load included;');
  console.log(
    '"of bound": throughput as a part of what no policy can exceed; of each rival its best setting by',
  );
  console.log('makespan (batch) or p95 wait (others), found on the first seed.');
  for (const one of cases().filter(({ name }) => name.includes(ONLY))) show(one);
  if (ONLY !== '') return;
  showNeighbours();
  roundCosts();
  await explainCosts();
  await real();
}

function show(one: Case): void {
  printHead(`${one.name} (${one.scenarios[0]?.jobs.length} jobs, ${one.scenarios.length} seeds)`);
  const rivals = RIVALS.map((rival) => {
    const row = best(rival, one);
    printRow(row);
    return row;
  });
  const own = measure('ours', { label: '', make: ours }, one.scenarios);
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

function showNeighbours(): void {
  console.log(
    '\nNine tenants with 10 jobs each, on 8 instances, p95 wait without and with one that has 5,000',
  );
  for (const seed of [1, 2, 3]) {
    const { aloneMs, besideMs } = neighbours(ours, seed);
    const seconds = (ms: number): string => `${(ms / 1000).toFixed(0)} s`.padStart(7);
    console.log(
      `  seed ${seed}${seconds(aloneMs)}${seconds(besideMs)}  -> ${(besideMs / aloneMs).toFixed(2)} (aim: 1.50)`,
    );
  }
}
