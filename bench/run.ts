/** `npm run bench -- <name>`: each figure beside its baseline, measured in the same run, median of several rounds. */
import { cluster } from './cluster.ts';
import { expiry } from './expiry.ts';
import { idle } from './idle.ts';
import { metricsQuery } from './metrics-query.ts';
import { overhead } from './overhead.ts';
import { estimateError } from './scheduling/estimate-error.ts';
import { scheduling } from './scheduling/index.ts';
import { scrape } from './scrape.ts';
import { store } from './store.ts';

const BENCHES: Readonly<Record<string, () => Promise<void>>> = {
  overhead,
  store,
  idle,
  cluster,
  scrape,
  scheduling,
  estimates: estimateError,
  'metrics-query': metricsQuery,
  expiry,
};

const names = process.argv.slice(2);
const unknown = names.filter((name) => !(name in BENCHES));
if (unknown.length > 0) {
  console.error(`unknown: ${unknown.join(', ')}; there are: ${Object.keys(BENCHES).join(', ')}`);
  process.exit(2);
}
for (const name of names.length > 0 ? names : Object.keys(BENCHES)) await BENCHES[name]?.();
process.exit(0);
