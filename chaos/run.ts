/**
 * `npm run chaos [-- <scenario>...] [--seed <n>]`: fault rounds against real processes, each with its targets beside what
 * was measured. Without a name: `kills`, about five minutes. Every round is bounded, ends by itself, talks to 127.0.0.1
 * only and ends only the processes it started.
 */
import { parseArgs } from 'node:util';
import { replicaKilled } from './load-scenarios/replica-killed.ts';
import { resubscribe } from './load-scenarios/resubscribe.ts';
import { users } from './load-scenarios/users.ts';
import { printReport, type Scenario } from './scenario.ts';
import { cancel } from './scenarios/cancel.ts';
import { clusterIdempotency } from './scenarios/cluster-idempotency.ts';
import { diskFull } from './scenarios/disk-full.ts';
import { fairness } from './scenarios/fairness.ts';
import { fastFail } from './scenarios/fast-fail.ts';
import { fleetChanges } from './scenarios/fleet-changes.ts';
import { historyRace } from './scenarios/history-race.ts';
import { hostile } from './scenarios/hostile.ts';
import { idempotency } from './scenarios/idempotency.ts';
import { kills } from './scenarios/kills.ts';
import { labels } from './scenarios/labels.ts';
import { leaderKills } from './scenarios/leader-kills.ts';
import { loopLag } from './scenarios/loop-lag.ts';
import { malformed } from './scenarios/malformed.ts';
import { noSocket } from './scenarios/no-socket.ts';
import { numbers } from './scenarios/numbers.ts';
import { outage } from './scenarios/outage.ts';
import { poison } from './scenarios/poison.ts';
import { postgresRestarts } from './scenarios/postgres-restarts.ts';
import { redisAway } from './scenarios/redis-away.ts';
import { redispatch } from './scenarios/redispatch.ts';
import { rollingRestart } from './scenarios/rolling-restart.ts';
import { slowSubscriber } from './scenarios/slow-subscriber.ts';
import { soak } from './scenarios/soak.ts';
import { splitBrain } from './scenarios/split-brain.ts';
import { warmCrashes } from './scenarios/warm-crashes.ts';

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'cluster-idempotency': clusterIdempotency,
  'disk-full': diskFull,
  'fast-fail': fastFail,
  fairness,
  'fleet-changes': fleetChanges,
  'history-race': historyRace,
  cancel,
  hostile,
  idempotency,
  kills,
  labels,
  'leader-kills': leaderKills,
  malformed,
  'loop-lag': loopLag,
  'no-socket': noSocket,
  numbers,
  outage,
  poison,
  'postgres-restarts': postgresRestarts,
  'redis-away': redisAway,
  redispatch,
  'rolling-restart': rollingRestart,
  'replica-killed': replicaKilled,
  resubscribe,
  'slow-subscriber': slowSubscriber,
  soak,
  'split-brain': splitBrain,
  users,
  'warm-crashes': warmCrashes,
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
// What a scenario started is ended when the process exits.
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => process.exit(1));
const seed = Number(values.seed ?? Date.now() % 1_000_000);
let failed = false;
for (const name of names) {
  console.log(`${name}, seed ${seed} (repeat it with --seed ${seed})`);
  try {
    const results = await SCENARIOS[name]?.({ seed, say: (line) => console.log(`  ${line}`) });
    failed = !printReport(results ?? []) || failed;
  } catch (error) {
    console.error(error);
    failed = true;
  }
}
process.exit(failed ? 1 : 0);
