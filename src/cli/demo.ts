/**
 * `comfyfleet demo`: three simulated instances and the gateway in one command. Uploads a picture, runs the three
 * shipped workflows and a burst of twelve jobs, shows them live, saves the results, and keeps serving until Ctrl-C;
 * with `once` it inspects every saved file and ends.
 */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createApp } from '../app.ts';
import type { Config } from '../config.ts';
import type { Logger } from '../lib/logger.ts';
import { createDisplay, type DemoDisplay } from './demo-display.ts';
import { DemoFleet } from './demo-fleet.ts';
import { type DemoJob, submit, uploadPicture, type WatchedJob, watchAndSave } from './demo-jobs.ts';
import { inspectFile, sharedFiles } from './demo-verify.ts';
import { portIfFree } from './free-port.ts';
import { GatewayClient } from './gateway-client.ts';

export interface DemoOptions {
  readonly once: boolean;
  /** Where the results are saved. */
  readonly folder: string;
  /** Simulated instances that refuse every WebSocket: all jobs must complete all the same. */
  readonly refuseWebsockets: boolean;
  readonly picture: URL;
  readonly entry: string;
  readonly config: Config;
  readonly logger: Logger;
  readonly out: NodeJS.WriteStream;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
}

const FLEET_SIZE = 3;
const BURST = 12;
const SUBJECTS = ['a lighthouse at dusk', 'a red bicycle', 'a paper boat', 'a mountain lake'];

/** Runs the demo; answers the problems found (none: everything really completed). */
export async function demo(options: DemoOptions): Promise<readonly string[]> {
  const display = createDisplay(options.out);
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-demo-'));
  const simulateArguments = ['--step-ms', '80', '--model-load-ms', '400', '--node-ms', '40', '--previews'];
  if (options.refuseWebsockets) simulateArguments.push('--refuse-websockets');
  const fleet = new DemoFleet({ size: FLEET_SIZE, entry: options.entry, simulateArguments });
  try {
    display.line(`Starting ${FLEET_SIZE} simulated ComfyUI instances ...`);
    await fleet.start();
    return await withGateway(options, fleet, dataDir, display);
  } finally {
    display.close();
    await fleet.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function withGateway(
  options: DemoOptions,
  fleet: DemoFleet,
  dataDir: string,
  display: DemoDisplay,
): Promise<readonly string[]> {
  const comfyuiInstances = fleet.urls.map((url, index) => ({ name: `gpu${index + 1}`, url, capacity: 1 }));
  const port = await portIfFree(options.config.host, options.config.port);
  const app = await createApp({ ...options.config, port, comfyuiInstances, dataDir }, options.logger);
  try {
    await app.start();
    display.line(
      `The gateway serves ${app.url}/graphql with ${comfyuiInstances.map(({ name }) => name).join(', ')}`,
    );
    const problems = await runJobs(options, new GatewayClient(app.url), display);
    if (!options.once) await serveOn(app.url, display, options.signal);
    return problems;
  } finally {
    await app.stop();
  }
}

async function runJobs(
  options: DemoOptions,
  client: GatewayClient,
  display: DemoDisplay,
): Promise<readonly string[]> {
  const folder = resolve(options.folder);
  await mkdir(folder, { recursive: true });
  const started = performance.now();
  try {
    const watched: Promise<WatchedJob>[] = [];
    for await (const job of submitAll(client, await readFile(options.picture))) {
      watched.push(watchAndSave(client, job, folder, display));
    }
    const results = await Promise.all(watched);
    display.close();
    return await conclude(results, folder, performance.now() - started, display);
  } finally {
    await client.close();
  }
}

/** The picture's upload, the three workflows, then the burst. */
async function* submitAll(client: GatewayClient, picture: Uint8Array<ArrayBuffer>): AsyncGenerator<DemoJob> {
  const { id: uploadId, width, height } = await uploadPicture(client, picture, 'orange.png');
  const prompt = 'an orange on a blue table';
  yield {
    id: await submit(client, 'removeBackground', { image: { uploadId } }),
    title: 'removeBackground',
    expectation: { kind: 'cut-out' },
  };
  yield {
    id: await submit(client, 'upscaleImage', { image: { uploadId } }),
    title: 'upscaleImage',
    expectation: { kind: 'upscaled', width, height },
  };
  yield {
    id: await submit(client, 'generateImage', { prompt }),
    title: 'generateImage',
    expectation: { kind: 'picture' },
  };
  for (let n = 0; n < BURST; n++) {
    const input = {
      prompt: `${SUBJECTS[n % SUBJECTS.length]}`,
      steps: 8 + n,
      priority: 1 + (n % 10),
      labels: { burst: 'demo' },
    };
    yield {
      id: await submit(client, 'generateImage', input),
      title: `burst ${n + 1}`,
      expectation: { kind: 'picture' },
    };
  }
}

async function conclude(
  results: readonly WatchedJob[],
  folder: string,
  tookMs: number,
  display: DemoDisplay,
): Promise<readonly string[]> {
  const files = results.flatMap((result) => result.files);
  const inspected = await Promise.all(
    results.flatMap((result) => result.files.map((file) => inspectFile(file, result.job.expectation))),
  );
  const problems = [
    ...results.flatMap((result) => result.problems),
    ...inspected.flat(),
    ...sharedFiles(files),
  ];
  const completed = results.filter((result) => result.status === 'COMPLETED').length;
  display.line(
    `\n${completed} of ${results.length} jobs completed in ${(tookMs / 1000).toFixed(1)} s; ${files.length} pictures in ${folder}`,
  );
  if (problems.length === 0)
    display.line('Every picture was opened again: sizes, cut-out, sha256 and ownership are right.');
  for (const problem of problems) display.line(`PROBLEM ${problem}`);
  return problems;
}

async function serveOn(url: string, display: DemoDisplay, signal: AbortSignal): Promise<void> {
  display.line(`\nGraphiQL with worked examples: ${url}/graphql   (Ctrl-C ends the demo)`);
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}
