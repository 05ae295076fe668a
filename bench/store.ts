/**
 * What one job costs in the store: the six transactions it goes through, each timed, with nothing else of the gateway
 * around them; then how many jobs a second pass when several are under way. On SQLite, and beside it on Postgres where
 * DATABASE_URL names one (in a database of its own). The baseline below them is the database alone: as many commits, synced
 * as a job's are, of one small write.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import type { Viewer } from '../src/domain/viewer.ts';
import { MemoryBus } from '../src/events/memory-bus.ts';
import type { NewOutput } from '../src/jobs/output-writer.ts';
import type { NewJob } from '../src/jobs/queue-writer.ts';
import { createRecorder, type Recorder } from '../src/jobs/recorder.ts';
import { systemClock } from '../src/lib/clock.ts';
import { createIds } from '../src/lib/ids.ts';
import { createLogger } from '../src/lib/logger.ts';
import { findGraph, findJob } from '../src/store/jobs.ts';
import { openStore, type Store } from '../src/store/open.ts';
import { outputsOfJobs } from '../src/store/outputs.ts';
import { createTestDatabase } from '../test/support/test-database.ts';
import { median } from './statistics.ts';

const JOBS = 300;
const WARM_UP = 300;
const ROUNDS = 3;
const AT_ONCE = 8;
const TERM = 1;
const VIEWER: Viewer = { tenant: 'bench', user: 'bench' };
const ids = createIds(systemClock);

type Times = Map<string, number[]>;

interface Engine {
  readonly name: string;
  readonly store: Store;
  readonly recorder: Recorder;
  readonly rounds: Times[];
  close(): Promise<void>;
}

export async function store(): Promise<void> {
  const engines = [await openEngine('SQLite')];
  if (process.env.DATABASE_URL) engines.push(await openEngine('Postgres'));
  try {
    for (const engine of engines) for (let n = 0; n < WARM_UP; n++) await oneJob(engine, new Map(), 0);
    // in turn, so that what else the machine does meets all alike
    for (let round = 0; round < ROUNDS; round++) {
      for (const engine of engines) engine.rounds.push(await measure(engine));
    }
    print(engines);
  } finally {
    for (const engine of engines) await engine.close();
  }
}

async function openEngine(name: 'SQLite' | 'Postgres'): Promise<Engine> {
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-bench-'));
  const database = name === 'Postgres' ? await createTestDatabase() : undefined;
  const logger = createLogger('silent');
  const opened = await openStore({ url: database?.url, dataDir, logger });
  const parts = { store: opened, bus: new MemoryBus(), clock: systemClock, ids, logger };
  return {
    ...{ name, store: opened, recorder: createRecorder(parts), rounds: [] },
    async close() {
      await opened.stop();
      await database?.drop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function measure(engine: Engine): Promise<Times> {
  const times: Times = new Map();
  for (let n = 0; n < JOBS; n++) {
    await timed(times, 'a whole job', () => oneJob(engine, times, 0));
    await timed(times, 'database alone', () => onlyCommits(engine.store));
  }
  const started = performance.now();
  await Promise.all(Array.from({ length: AT_ONCE }, (_, slot) => severalJobs(engine, slot)));
  times.set(PER_SECOND, [(AT_ONCE * Math.ceil(JOBS / AT_ONCE)) / ((performance.now() - started) / 1000)]);
  return times;
}

const PER_SECOND = `jobs/s, ${AT_ONCE} at once`;

async function severalJobs(engine: Engine, slot: number): Promise<void> {
  for (let n = 0; n < Math.ceil(JOBS / AT_ONCE); n++) await oneJob(engine, new Map(), slot);
}

async function timed<T>(times: Times, name: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await work();
  const taken = performance.now() - started;
  const known = times.get(name);
  if (known) known.push(taken);
  else times.set(name, [taken]);
  return result;
}

async function oneJob({ store: opened, recorder }: Engine, times: Times, slot: number): Promise<void> {
  const job = newJob();
  const attemptId = ids();
  await timed(times, 'queue', () => recorder.queue(VIEWER, job, undefined, { maxQueued: 10_000 }));
  await timed(times, 'assign', () =>
    recorder.assign({
      jobId: job.id,
      attemptId,
      instanceId: 'i1',
      instanceName: 'gpu-1',
      slot,
      term: TERM,
      deadlineAt: systemClock.now() + 60_000,
    }),
  );
  await timed(times, 'read', () => findGraph(opened.db, job.id));
  await timed(times, 'running', () => recorder.running(attemptId, TERM));
  await timed(times, 'output', () => recorder.output(attemptId, TERM, newOutput()));
  await timed(times, 'collecting', () => recorder.collecting(attemptId, TERM));
  const done = await timed(times, 'complete', () => recorder.complete(attemptId, TERM, 1));
  if (!done) throw new Error('the job did not complete');
  await timed(times, 'read', () => findJob(opened.db, VIEWER, job.id));
  await timed(times, 'read', () => outputsOfJobs(opened.db, VIEWER, [job.id]));
}

/** Three commits that wait for the disk and three that do not. */
async function onlyCommits({ db, transaction, relaxed }: Store): Promise<void> {
  const write = sql`
    insert into settings (name, value) values ('bench', ${ids()})
    on conflict (name) do update set value = excluded.value`.compile(db);
  for (const how of [transaction, transaction, relaxed, relaxed, relaxed, transaction]) {
    await how((tx) => tx.executeQuery(write));
  }
}

function newJob(): NewJob {
  return {
    id: ids(),
    workflow: 'textToImage',
    inputs: { prompt: 'a lighthouse at dusk', seed: 7 },
    graph: Object.fromEntries(
      ['1', '2', '3', '4', '5', '6', '7'].map((node) => [
        node,
        { class_type: 'KSampler', inputs: { seed: 1, steps: 20, cfg: 8, text: 'a lighthouse at dusk' } },
      ]),
    ),
    files: [],
    needs: { nodeTypes: ['KSampler'], models: [] },
    needsKey: 'bench-needs',
    priority: 5,
    labels: {},
    timeoutMs: 60_000,
    deadlineAt: null,
    maxAttempts: 3,
    retryOf: null,
  };
}

function newOutput(): NewOutput {
  return {
    node: '9',
    ordinal: 0,
    kind: 'image',
    mimeType: 'image/png',
    filename: 'out.png',
    sha256: ids().replaceAll('-', ''),
    bytes: 1000,
    width: 64,
    height: 64,
    text: null,
    temporary: false,
  };
}

function print(engines: readonly Engine[]): void {
  console.log(`store: ${JOBS} jobs a round, one at a time; p50 in ms, median of ${ROUNDS} rounds\n`);
  console.log(`  ${''.padEnd(20)}${engines.map(({ name }) => name.padStart(12)).join('')}`);
  for (const name of engines[0]?.rounds[0]?.keys() ?? []) {
    const digits = name === PER_SECOND ? 0 : 3;
    const figures = engines.map(({ rounds }) => median(rounds.map((times) => median(times.get(name) ?? []))));
    console.log(
      `  ${name.padEnd(20)}${figures.map((figure) => figure.toFixed(digits).padStart(12)).join('')}`,
    );
  }
}
