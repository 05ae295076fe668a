/**
 * `npm run chaos [-- <scenario>...] [--seed <n>]`: fault rounds against real processes, each with its targets beside what
 * was measured. Without a name: `kills`, about five minutes. Every round is bounded, ends by itself, talks to 127.0.0.1
 * only and ends only the processes it started.
 */
import { parseArgs } from 'node:util';
import { printReport, type Scenario } from './scenario.ts';
import { kills } from './scenarios/kills.ts';

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  kills,
};

const { values, positionals } = parseArgs({
  options: { seed: { type: 'string' } },
  allowPositionals: true,
});
const names = positionals.length > 0 ? positionals : ['kills'];
const unknown = names.filter((name) => !(name in SCENARIOS));
if (unknown.length > 0) {
  console.error(`unknown: ${unknown.join(', ')}; there are: ${Object.keys(SCENARIOS).join(', ')}`);
  process.exit(2);
}
const seed = Number(values.seed ?? Date.now() % 1_000_000);
let failed = false;
for (const name of names) {
  console.log(`${name}, seed ${seed} (repeat it with --seed ${seed})`);
  const results = await SCENARIOS[name]?.({ seed, say: (line) => console.log(`  ${line}`) });
  failed = !printReport(results ?? []) || failed;
}
process.exit(failed ? 1 : 0);
