/**
 * What others notice while old jobs expire: BENCH_JOBS (100,000; the million takes 3 GB and some minutes) ended jobs with all
 * their rows really in SQLite, and in Postgres where DATABASE_URL names one; the whole gateway in this process, its event
 * loop watched; the requests of three clients in a process of their own. First with nothing to expire, then with everything.
 * The files are noted and judged, but none lies in storage.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createApp } from '../src/app.ts';
import { type Config, parseConfig } from '../src/config.ts';
import { defaultViewer } from '../src/domain/viewer.ts';
import { createLogger } from '../src/lib/logger.ts';
import { openStore } from '../src/store/open.ts';
import { createTestDatabase } from '../test/support/test-database.ts';
import { countEnded, fillEnded } from './ended-jobs.ts';
import { type Latencies, REQUESTS } from './expiry-client.ts';
import { quantile } from './statistics.ts';

const JOBS = Number(process.env.BENCH_JOBS ?? 100_000);
const SECONDS = Number(process.env.BENCH_SECONDS ?? 20);
const CLIENTS = 3;
const DAY_MS = 86_400_000;
const RESOLUTION_MS = 1;
const CLIENT = fileURLToPath(new URL('expiry-client.ts', import.meta.url));

interface Phase {
  readonly latencies: readonly Latencies[];
  /** Of the event loop, in ms. */
  readonly longest: number;
  readonly p99: number;
  readonly seconds: number;
}

export async function expiry(): Promise<void> {
  await onEngine('SQLite', undefined);
  if (!process.env.DATABASE_URL) return;
  const database = await createTestDatabase();
  await onEngine('Postgres', database.url).finally(() => database.drop());
}

async function onEngine(name: string, databaseUrl: string | undefined): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-bench-'));
  const config = { ...parseConfig({ DATA_DIR: dataDir, PORT: '0' }), databaseUrl, cleanupIntervalMs: 1000 };
  try {
    const to = Date.now() - 2 * DAY_MS;
    await withStore(config, (store) =>
      fillEnded(store, { count: JOBS, from: to - DAY_MS, to, tenant: defaultViewer.tenant }),
    );
    const idle = await phase({ ...config, jobRetentionMs: 365 * DAY_MS });
    const busy = await phase({ ...config, jobRetentionMs: DAY_MS });
    const left = await withStore(config, ({ db }) => countEnded(db));
    print(name, idle, busy, JOBS - left);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function withStore<T>(
  { databaseUrl: url, dataDir }: Config,
  work: (store: Awaited<ReturnType<typeof openStore>>) => Promise<T>,
): Promise<T> {
  const store = await openStore({ url, dataDir, logger: createLogger('silent') });
  return work(store).finally(() => store.stop());
}

async function phase(config: Config): Promise<Phase> {
  const app = await createApp(config, createLogger('silent'));
  await app.start();
  const clients = Array.from({ length: CLIENTS }, () => fork(CLIENT, [app.url]));
  // compiled and warm
  await sleep(3000);
  const loop = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  loop.enable();
  const begunAt = performance.now();
  await sleep(SECONDS * 1000);
  const seconds = (performance.now() - begunAt) / 1000;
  loop.disable();
  const latencies = await Promise.all(clients.map(stopped));
  await app.stop();
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
  return { latencies, longest: late(loop.max), p99: late(loop.percentile(99)), seconds };
}

async function stopped(client: ChildProcess): Promise<Latencies> {
  const answered = once(client, 'message');
  client.send('stop');
  const [latencies] = (await answered) as [Latencies];
  return latencies;
}

function print(engine: string, idle: Phase, busy: Phase, expired: number): void {
  console.log(`expiry on ${engine}: ${JOBS} ended jobs, ${CLIENTS} clients, ${SECONDS} s each\n`);
  console.log(`  ${''.padEnd(26)}${'idle'.padStart(12)}${'expiring'.padStart(12)}`);
  const line = (what: string, of: (phase: Phase) => number) =>
    console.log(
      `  ${what.padEnd(26)}${[idle, busy].map((one) => `${of(one).toFixed(1)} ms`.padStart(12)).join('')}`,
    );
  for (const request of REQUESTS) {
    const all = ({ latencies }: Phase) => latencies.flatMap((one) => one[request]);
    line(`${request} p50`, (one) => quantile(all(one), 0.5));
    line(`${request} p99`, (one) => quantile(all(one), 0.99));
  }
  line('event loop held, p99', (one) => one.p99);
  line('event loop held, longest', (one) => one.longest);
  console.log(`  ${expired} jobs expired, ${(expired / (busy.seconds + 3)).toFixed(0)}/s at least\n`);
}
