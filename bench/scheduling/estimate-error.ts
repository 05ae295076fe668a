/**
 * How far the estimates of a real gateway are from what comes: three instances of different speed, three classes of jobs whose
 * lengths scatter, models that are loaded; a class counts from its 51st job on. What a job was told of its wait when it was
 * submitted, and of the rest of its run when it was first seen running, beside what it took.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomFrom } from '../../chaos/scenario.ts';
import { sampled } from '../../chaos/warm/model-jobs.ts';
import type { JsonObject } from '../../src/lib/json.ts';
import { TestClient } from '../../test/support/graphql-client.ts';
import { type Program, startProgram } from '../processes.ts';
import { quantile } from '../statistics.ts';
import { exponential, lognormal } from './random.ts';

const JOBS = Number(process.env.BENCH_JOBS ?? 300);
/** Of one step, on each instance. */
const STEP_MS = [14, 20, 30];
const LOAD_MS = 400;
/** A model each, and its usual steps. */
const CLASSES = [
  { model: 'm0.safetensors', steps: 12 },
  { model: 'm1.safetensors', steps: 24 },
  { model: 'm2.safetensors', steps: 40 },
];
const SCATTER = 0.25;
const LEARNT_FROM = 50;
const MEAN_GAP_MS = 400;
const LOOK_MS = 100;
/** What is shorter is mostly the gateway's own time. */
const LEAST_MS = 300;
const PATIENCE_MS = 180_000;

interface Told {
  readonly model: number;
  readonly number: number;
  readonly waitMs: number | null;
  /** When it was first seen running (epoch ms), and the rest of it as it was told then. */
  seen?: { readonly at: number; readonly remainingMs: number | null };
}

interface JobRow {
  readonly id: string;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
}

export async function estimateError(): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-bench-'));
  const programs: Program[] = [];
  try {
    for (const stepMs of STEP_MS) programs.push(await startInstance(stepMs));
    const env = { PORT: '0', DATA_DIR: dataDir };
    const COMFYUI_INSTANCES = programs.map(({ url }) => url).join(',');
    const gateway = await startProgram(['serve'], { ...env, COMFYUI_INSTANCES });
    programs.push(gateway);
    const client = new TestClient(gateway.url);
    const told = new Map<string, Told>();
    const submitted = submitAll(client, told);
    await watch(client, told, submitted);
    print(told, await allJobs(client));
    await client.close();
  } finally {
    await Promise.all(programs.map((program) => program.stop()));
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function startInstance(stepMs: number): Promise<Program> {
  const times = ['--step-ms', String(stepMs), '--node-ms', '0', '--model-load-ms', String(LOAD_MS)];
  const program = await startProgram(['simulate', '--port', '0', ...times]);
  const models = { checkpoints: CLASSES.map(({ model }) => model) };
  await fetch(`${program.url}/simulator/options`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ residentModels: 1, models }),
  });
  return program;
}

const SUBMIT = `mutation($graph: JSONObject!) { submitJob(input: {graph: $graph}) {
  ... on SubmitJobSuccess { job { id queue { estimatedWaitMs } } } ... on Error { message } } }`;

async function submitAll(client: TestClient, told: Map<string, Told>): Promise<void> {
  const random = randomFrom(7);
  const counts = CLASSES.map(() => 0);
  for (let n = 0; n < JOBS; n++) {
    await sleep(exponential(random, MEAN_GAP_MS));
    const model = Math.floor(random() * CLASSES.length);
    const kind = CLASSES[model];
    if (!kind) continue;
    const steps = Math.max(2, Math.round(kind.steps * lognormal(random, 0, SCATTER)));
    const graph = withSteps(sampled(kind.model, n), steps);
    const { submitJob } = await client.run<{
      submitJob: { job?: { id: string; queue: { estimatedWaitMs: number | null } | null }; message?: string };
    }>(SUBMIT, { graph });
    if (!submitJob.job) throw new Error(`the gateway refused: ${submitJob.message}`);
    const { id, queue } = submitJob.job;
    const number = (counts[model] ?? 0) + 1;
    counts[model] = number;
    told.set(id, { model, number, waitMs: queue?.estimatedWaitMs ?? null });
  }
}

function withSteps(graph: JsonObject, steps: number): JsonObject {
  const sampler = graph['4'] as { class_type: string; inputs: JsonObject };
  return { ...graph, '4': { ...sampler, inputs: { ...sampler.inputs, steps } } };
}

const RUNNING =
  '{ jobs(first: 20, filter: {status: [PROCESSING]}) { nodes { id progress { remainingMs } } } queue { pending processing } }';

/** Until all have run. */
async function watch(client: TestClient, told: Map<string, Told>, submitted: Promise<void>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  let isAllThere = false;
  submitted.then(
    () => {
      isAllThere = true;
    },
    () => undefined,
  );
  for (;;) {
    const { jobs, queue } = await client.run<{
      jobs: { nodes: { id: string; progress: { remainingMs: number | null } }[] };
      queue: { pending: number; processing: number };
    }>(RUNNING);
    const at = Date.now();
    for (const { id, progress } of jobs.nodes) {
      const job = told.get(id);
      if (job && !job.seen) job.seen = { at, remainingMs: progress.remainingMs };
    }
    if (isAllThere && queue.pending + queue.processing === 0) break;
    if (performance.now() > deadline) throw new Error('the fleet did not get there in time');
    await sleep(LOOK_MS);
  }
  await submitted;
}

async function allJobs(client: TestClient): Promise<JobRow[]> {
  const rows: JobRow[] = [];
  for (let after: string | null = null; ; ) {
    const query =
      'query($after: String) { jobs(first: 100, after: $after) { nodes { id createdAt startedAt finishedAt } pageInfo { hasNextPage endCursor } } }';
    const { jobs }: { jobs: { nodes: JobRow[]; pageInfo: { hasNextPage: boolean; endCursor: string } } } =
      await client.run(query, { after });
    rows.push(...jobs.nodes);
    if (!jobs.pageInfo.hasNextPage) return rows;
    after = jobs.pageInfo.endCursor;
  }
}

function print(told: ReadonlyMap<string, Told>, rows: readonly JobRow[]): void {
  const waits: number[] = [];
  const rests: number[] = [];
  for (const { id, createdAt, startedAt, finishedAt } of rows) {
    const job = told.get(id);
    if (!job || job.number <= LEARNT_FROM || !startedAt || !finishedAt) continue;
    note(waits, job.waitMs, Date.parse(startedAt) - Date.parse(createdAt));
    if (job.seen) note(rests, job.seen.remainingMs, Date.parse(finishedAt) - job.seen.at);
  }
  console.log(
    `\nErrors of the estimates of a gateway after ${LEARNT_FROM} jobs of each of ${CLASSES.length} classes`,
  );
  for (const [what, errors] of [
    ['time left, at its start', rests],
    ['wait, when submitted', waits],
  ] as const) {
    const [median, p90] = [0.5, 0.9].map((share) => `${(100 * quantile(errors, share)).toFixed(1)} %`);
    console.log(
      `  ${what.padEnd(26)} ${errors.length} jobs  median ${median} (aim: 25 %)  p90 ${p90} (aim: 60 %)`,
    );
  }
}

function note(errors: number[], expected: number | null, came: number): void {
  if (expected !== null && came >= LEAST_MS) errors.push(Math.abs(expected - came) / came);
}
