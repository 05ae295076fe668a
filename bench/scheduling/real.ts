/**
 * The same planner twice on the same jobs, which come at the same times: in virtual time, and in a gateway with eight simulated
 * instances, each a process of its own, that really wait for their models. The share of jobs that found their model in memory
 * is read from what the instances say they ran, in their own order. BENCH_JOBS sets the size.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { randomFrom } from '../../chaos/scenario.ts';
import { type Program, startProgram } from '../processes.ts';
import { equalFleet, modelNames } from './fleets.ts';
import { ours } from './policies/ours.ts';
import { chooser, exponential, zipf } from './random.ts';
import { type Job, type Scenario, simulate } from './world.ts';

const JOBS = Number(process.env.BENCH_JOBS ?? 400);
const INSTANCES = 8;
const MODELS = modelNames(6).map((name) => `${name}.safetensors`);
const LOAD_MS = 600;
const STEP_MS = 25;
/** More than they can do at once: what then counts is the order of the jobs, not how fast this machine is. */
const UTILISATION = 2;
const PATIENCE_MS = 180_000;

interface RealJob extends Job {
  readonly steps: number;
}

export async function real(): Promise<void> {
  const jobs = jobList(JOBS);
  const scenario: Scenario = {
    machines: equalFleet(INSTANCES),
    loadMs: new Map(MODELS.map((model) => [model, LOAD_MS])),
    jobs,
  };
  const { runs } = simulate(scenario, ours());
  const simulated = runs.filter(({ loadMs }) => loadMs === 0).length / runs.length;
  const measured = await withFleet((gateway, instances) => warmShare(gateway, instances, jobs));
  console.log(
    `\nThe same ${JOBS} jobs on ${INSTANCES} instances, ${MODELS.length} models, 1 resident, load ${LOAD_MS} ms`,
  );
  console.log(`  warm hits in virtual time   ${(simulated * 100).toFixed(1)} %`);
  console.log(`  warm hits of the gateway    ${(measured * 100).toFixed(1)} %`);
  console.log(`  -> ratio ${(measured / simulated).toFixed(3)} (aim: 0.90 to 1.10)`);
}

/** Of 250 to 750 ms. */
function jobList(count: number): RealJob[] {
  const random = randomFrom(11);
  const model = chooser(MODELS, (_, index) => zipf(index));
  const gapMs = (20 * STEP_MS) / (UTILISATION * INSTANCES);
  let at = 0;
  return Array.from({ length: count }, (_, n) => {
    at += exponential(random, gapMs);
    const steps = 10 + Math.floor(21 * random());
    return {
      id: `j${String(n).padStart(6, '0')}`,
      tenant: 'one',
      priority: 5,
      model: model(random),
      workflow: 'raw',
      workMs: steps * STEP_MS,
      at: Math.round(at),
      steps,
    };
  });
}

async function withFleet<T>(
  work: (gateway: Program, instances: readonly Program[]) => Promise<T>,
): Promise<T> {
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-bench-'));
  const programs: Program[] = [];
  try {
    for (let n = 0; n < INSTANCES; n++) programs.push(await startInstance());
    const instances = [...programs];
    const gateway = await startProgram(['serve'], {
      PORT: '0',
      DATA_DIR: dataDir,
      COMFYUI_INSTANCES: instances.map(({ url }) => url).join(','),
      LOG_LEVEL: 'info',
    });
    programs.push(gateway);
    return await work(gateway, instances);
  } finally {
    await Promise.all(programs.map((program) => program.stop()));
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function startInstance(): Promise<Program> {
  const times = ['--step-ms', String(STEP_MS), '--node-ms', '0', '--model-load-ms', String(LOAD_MS)];
  const program = await startProgram(['simulate', '--port', '0', ...times]);
  await post(`${program.url}/simulator/options`, { residentModels: 1, models: { checkpoints: MODELS } });
  return program;
}

async function warmShare(
  gateway: Program,
  instances: readonly Program[],
  jobs: readonly RealJob[],
): Promise<number> {
  const { url } = gateway;
  await until(async () => {
    const { data } = await ask(url, '{ instances { health } }');
    const { instances } = data as { instances: { health: string }[] };
    return instances.filter(({ health }) => health === 'HEALTHY').length === INSTANCES;
  });
  const begun = performance.now();
  const sent: Promise<void>[] = [];
  for (const job of jobs) {
    await sleep(Math.max(0, begun + job.at - performance.now()));
    sent.push(submit(url, job));
  }
  await Promise.all(sent);
  let models: string[][] = [];
  await until(async () => {
    models = await Promise.all(instances.map(modelsInOrder));
    return models.flat().length >= jobs.length;
  });
  const warm = models.map((ran) => ran.filter((model, n) => n > 0 && ran[n - 1] === model).length);
  return warm.reduce((sum, count) => sum + count, 0) / jobs.length;
}

const SUBMIT =
  'mutation($graph: JSONObject!) { submitJob(input: {graph: $graph}) { ... on SubmitJobSuccess { job { id } } ... on Error { message } } }';

async function submit(url: string, job: RealJob): Promise<void> {
  const answer = await ask(url, SUBMIT, { graph: graphOf(job) });
  const { submitJob } = answer.data as { submitJob: { job?: { id: string }; message?: string } };
  if (!submitJob.job) throw new Error(`the gateway refused: ${submitJob.message}`);
}

function graphOf({ id, model, steps }: RealJob) {
  const text = (words: string) => ({ class_type: 'CLIPTextEncode', inputs: { clip: ['1', 1], text: words } });
  return {
    1: { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: model } },
    2: text(id),
    3: text(''),
    4: { class_type: 'EmptyLatentImage', inputs: { width: 64, height: 64, batch_size: 1 } },
    5: {
      class_type: 'KSampler',
      inputs: {
        model: ['1', 0],
        positive: ['2', 0],
        negative: ['3', 0],
        latent_image: ['4', 0],
        seed: 1,
        steps,
        cfg: 7,
        sampler_name: 'euler',
        scheduler: 'normal',
        denoise: 1,
      },
    },
    6: { class_type: 'VAEDecode', inputs: { samples: ['5', 0], vae: ['1', 2] } },
    7: { class_type: 'SaveImage', inputs: { images: ['6', 0], filename_prefix: 'bench' } },
  };
}

/** Of the jobs that the instance ran, first to last. */
async function modelsInOrder({ url }: Program): Promise<string[]> {
  const executions = (await get(`${url}/simulator/executions`)) as { promptId: string; outcome: string }[];
  const history = (await get(`${url}/history`)) as Record<
    string,
    { prompt: [number, string, ReturnType<typeof graphOf>] }
  >;
  return executions
    .filter(({ outcome }) => outcome === 'success')
    .flatMap(({ promptId }) => history[promptId]?.prompt[2][1].inputs.ckpt_name ?? []);
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error('the fleet did not get there in time');
    await sleep(500);
  }
}

async function ask(url: string, query: string, variables: object = {}) {
  return (await post(`${url}/graphql`, { query, variables })) as { data: unknown };
}

async function post(url: string, body: object): Promise<unknown> {
  const headers = { 'content-type': 'application/json' };
  const answer = await request(url, { method: 'POST', headers, body: JSON.stringify(body) });
  const text = await answer.body.text();
  if (answer.statusCode !== 200 && answer.statusCode !== 204)
    throw new Error(`${url} answered ${answer.statusCode}`);
  return text === '' ? null : JSON.parse(text);
}

async function get(url: string): Promise<unknown> {
  return (await request(url)).body.json();
}
