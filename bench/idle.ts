/**
 * What a thousand subscriptions cost that have nothing to say: one API replica with none and the same replica with them,
 * each over a WebSocket of its own, on jobs that wait. Once while the fleet is still, once while other jobs run in it, so that
 * messages come over the bus that none of them wants. BENCH_SUBSCRIBERS and BENCH_SECONDS set the size.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Crowd } from '../chaos/load-scenarios/crowd.ts';
import { processorMs, residentBytes } from '../chaos/load-scenarios/process-cost.ts';
import { quickJobs } from '../chaos/load-scenarios/quick-jobs.ts';
import { type Stage, withStage } from '../chaos/load-scenarios/stage.ts';
import type { Order } from '../chaos/load-scenarios/subscriber.ts';
import { makeRare, waitingJobs } from '../chaos/load-scenarios/waiting-jobs.ts';
import type { GatewayProgram } from '../chaos/processes.ts';
import { TestClient } from '../test/support/graphql-client.ts';

const SUBSCRIBERS = Number(process.env.BENCH_SUBSCRIBERS ?? 1000);
const SECONDS = Number(process.env.BENCH_SECONDS ?? 30);
/** Told of before it is measured, so that code and pools that come with the first clients do not count as theirs. */
const WARM_UP = 200;
const JOBS_PER_SECOND = 5;

interface Cost {
  readonly heap: number;
  readonly rss: number;
  /** Share of one core. */
  readonly stillCpu: number;
  readonly busyCpu: number;
}

export async function idle(): Promise<void> {
  const setting = { apis: 2, schedulers: 1, simulators: 2, prepare: makeRare };
  await withStage(setting, async (stage) => {
    const [api, other = api] = stage.apis;
    if (!api || !other) throw new Error('no replica');
    const client = new TestClient(other.url);
    const jobs = await waitingJobs(client, SUBSCRIBERS);
    await subscribed(jobs.slice(0, WARM_UP), api, async () => undefined);
    const without = await costOf(stage, api, other);
    const given = await subscribed(jobs, api, () => costOf(stage, api, other));
    await client.close();
    print(without, given);
  });
}

/** While the jobs have a subscriber each. */
async function subscribed<T>(
  jobs: readonly string[],
  { url }: GatewayProgram,
  work: () => Promise<T>,
): Promise<T> {
  await using crowd = await Crowd.of(1);
  const orders = jobs.map((jobId): Order => ({ urls: [url], jobId, what: 'job' }));
  await crowd.begin(orders, jobs.length * 5, 1);
  if (!(await crowd.until(({ connected }) => connected === jobs.length, 60_000)))
    throw new Error('not all subscribers have a snapshot');
  const result = await work();
  const { connected } = await crowd.standing();
  if (connected !== jobs.length) throw new Error(`${jobs.length - connected} subscribers were cut off`);
  return result;
}

async function costOf({ probe }: Stage, api: GatewayProgram, other: GatewayProgram): Promise<Cost> {
  // what just happened has left its sockets and timers, and two collections let finalizers run
  await sleep(3000);
  await probe.mark(api);
  await sleep(500);
  const { heapUsed: heap } = await probe.mark(api);
  await sleep(500);
  const rss = residentBytes(api);
  const stillCpu = await shareOfCore(api);
  const stop = new AbortController();
  const jobs = quickJobs(other.url, 1, stop.signal, 1000 / JOBS_PER_SECOND);
  const busyCpu = await shareOfCore(api);
  stop.abort();
  await jobs;
  return { heap, rss, stillCpu, busyCpu };
}

async function shareOfCore(program: GatewayProgram): Promise<number> {
  const [at, before] = [performance.now(), processorMs(program)];
  await sleep(SECONDS * 1000);
  return (processorMs(program) - before) / (performance.now() - at);
}

function print(without: Cost, given: Cost): void {
  const kib = (bytes: number): string => `${(bytes / 1024 / SUBSCRIBERS).toFixed(1)} KiB`;
  const line = (name: string, of: (cost: Cost) => string, added: string): void =>
    console.log(`  ${name.padEnd(34)}${of(without).padStart(10)}${of(given).padStart(12)}   ${added}`);
  const share = (value: number): string => `${(value * 100).toFixed(1)} %`;
  const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
  console.log(
    `idle: one API replica, ${SUBSCRIBERS} subscriptions on jobs that wait, one WebSocket each; processor over ${SECONDS} s\n`,
  );
  console.log(`${' '.repeat(42)}none       ${SUBSCRIBERS}   each`);
  line('heap, after collection', ({ heap }) => mb(heap), kib(given.heap - without.heap));
  line('resident memory', ({ rss }) => mb(rss), kib(given.rss - without.rss));
  line('one core, fleet still', ({ stillCpu }) => share(stillCpu), '');
  line(`one core, ${JOBS_PER_SECOND} other jobs/s at most`, ({ busyCpu }) => share(busyCpu), '');
}
