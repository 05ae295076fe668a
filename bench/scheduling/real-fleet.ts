/** A gateway and the simulated instances that it drives, each a process of its own, for jobs that need one model each. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { type Program, startProgram } from '../processes.ts';

export const INSTANCES = 8;
export const LOAD_MS = 600;
export const STEP_MS = 25;
const PATIENCE_MS = 120_000;

export interface FleetJob {
  readonly id: string;
  readonly model: string;
  readonly steps: number;
  /** When it is sent, ms after the first could be. */
  readonly at: number;
}

export interface RealRun {
  readonly model: string;
  /** Epoch ms. */
  readonly startedAt: number;
}

export class RealFleet {
  readonly #gateway: string;
  readonly #instances: readonly Program[];
  #ran = INSTANCES_RAN_NOTHING;

  constructor(gateway: Program, instances: readonly Program[]) {
    this.#gateway = gateway.url;
    this.#instances = instances;
  }

  /** Until all instances are well. */
  async ready(): Promise<void> {
    await until(async () => {
      const { instances } = (await ask(this.#gateway, '{ instances { health } }')) as Instances;
      return instances.filter(({ health }) => health === 'HEALTHY').length === INSTANCES;
    });
  }

  /** Sends them in time and waits for all of them; for each instance what it ran, in order. */
  async run(jobs: readonly FleetJob[]): Promise<RealRun[][]> {
    const begun = performance.now();
    const sent: Promise<void>[] = [];
    for (const job of jobs) {
      await sleep(Math.max(0, begun + job.at - performance.now()));
      sent.push(submit(this.#gateway, job));
    }
    await Promise.all(sent);
    const before = this.#ran;
    let ran: RealRun[][] = [];
    await until(async () => {
      const all = await Promise.all(this.#instances.map(runsOf));
      this.#ran = all.map((runs) => runs.length);
      ran = all.map((runs, n) => runs.slice(before[n]));
      return ran.flat().length >= jobs.length;
    });
    return ran;
  }
}

const INSTANCES_RAN_NOTHING: readonly number[] = Array.from({ length: INSTANCES }, () => 0);

interface Instances {
  readonly instances: readonly { readonly health: string }[];
}

export async function withFleet(
  models: readonly string[],
  work: (fleet: RealFleet) => Promise<void>,
): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-bench-'));
  const programs: Program[] = [];
  try {
    for (let n = 0; n < INSTANCES; n++) programs.push(await startInstance(models));
    const instances = [...programs];
    const gateway = await startProgram(['serve'], {
      PORT: '0',
      DATA_DIR: dataDir,
      COMFYUI_INSTANCES: instances.map(({ url }) => url).join(','),
      LOG_LEVEL: 'info',
    });
    programs.push(gateway);
    const fleet = new RealFleet(gateway, instances);
    await fleet.ready();
    await work(fleet);
  } finally {
    await Promise.all(programs.map((program) => program.stop()));
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function startInstance(models: readonly string[]): Promise<Program> {
  const times = ['--step-ms', String(STEP_MS), '--node-ms', '0', '--model-load-ms', String(LOAD_MS)];
  const program = await startProgram(['simulate', '--port', '0', ...times]);
  await post(`${program.url}/simulator/options`, { residentModels: 1, models: { checkpoints: models } });
  return program;
}

const SUBMIT =
  'mutation($graph: JSONObject!) { submitJob(input: {graph: $graph}) { ... on SubmitJobSuccess { job { id } } ... on Error { message } } }';

async function submit(url: string, job: FleetJob): Promise<void> {
  const { submitJob } = (await ask(url, SUBMIT, { graph: graphOf(job) })) as {
    submitJob: { job?: { id: string }; message?: string };
  };
  if (!submitJob.job) throw new Error(`the gateway refused: ${submitJob.message}`);
}

function graphOf({ id, model, steps }: FleetJob) {
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
async function runsOf({ url }: Program): Promise<RealRun[]> {
  const executions = (await get(`${url}/simulator/executions`)) as Execution[];
  const history = (await get(`${url}/history`)) as Record<string, Entry>;
  return executions.flatMap(({ promptId, startedAt, outcome }) => {
    const graph = history[promptId]?.prompt[2];
    return outcome === 'success' && graph ? [{ model: graph[1].inputs.ckpt_name, startedAt }] : [];
  });
}

interface Execution {
  readonly promptId: string;
  readonly startedAt: number;
  readonly outcome: string;
}

interface Entry {
  readonly prompt: [number, string, ReturnType<typeof graphOf>];
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error('the fleet did not get there in time');
    await sleep(500);
  }
}

async function ask(url: string, query: string, variables: object = {}): Promise<unknown> {
  const { data } = (await post(`${url}/graphql`, { query, variables })) as { data: unknown };
  return data;
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
