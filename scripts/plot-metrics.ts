/**
 * A picture of a time of a running gateway, from its metricSeries:
 *
 *   npx tsx scripts/plot-metrics.ts http://127.0.0.1:4000 figures.svg now-1h now
 *
 * Without an address it runs a fleet of its own first, three simulated instances and bursts of 300 jobs in about four
 * minutes: npx tsx scripts/plot-metrics.ts makes assets/figures.svg, the picture of the README.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createApp } from '../src/app.ts';
import { DemoFleet } from '../src/cli/demo-fleet.ts';
import { submit } from '../src/cli/demo-jobs.ts';
import { GatewayClient } from '../src/cli/gateway-client.ts';
import { parseConfig } from '../src/config.ts';
import { createLogger } from '../src/lib/logger.ts';
import { drawFigures, readFigures } from './figures-chart.ts';

const PICTURE = fileURLToPath(new URL('../assets/figures.svg', import.meta.url));
const ENTRY = fileURLToPath(new URL('../src/main.ts', import.meta.url));

/** Jobs that are submitted at once, and how many must be left of them before the next come. */
const BURSTS = [
  { jobs: 120, until: 40 },
  { jobs: 110, until: 0 },
  { jobs: 70, until: 0 },
];

const [address, file = 'figures.svg', from = 'now-1h', to = 'now'] = process.argv.slice(2);
if (address) await plot(address, file, from, to);
else await runAndPlot();

async function plot(url: string, into: string, begin: string, end: string): Promise<void> {
  const client = new GatewayClient(url);
  await writeFile(into, drawFigures(await readFigures(client, begin, end)));
  console.log(`drawn: ${into}`);
  await client.close();
}

async function runAndPlot(): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-figures-'));
  const fleet = new DemoFleet({
    size: 3,
    entry: ENTRY,
    simulateArguments: ['--step-ms', '80', '--node-ms', '40'],
  });
  await fleet.start();
  const comfyuiInstances = fleet.urls.map((url, n) => ({ name: `gpu${n + 1}`, url, capacity: 1 }));
  const config = { ...parseConfig({ LOG_LEVEL: 'warn' }), port: 0, dataDir, comfyuiInstances };
  const app = await createApp(config, createLogger('warn'));
  try {
    await app.start();
    const client = new GatewayClient(app.url);
    const begin = Date.now();
    for (const { jobs, until } of BURSTS) {
      await Promise.all(Array.from({ length: jobs }, (_, n) => submitOne(client, n)));
      await fewLeft(client, until);
    }
    await counted(client);
    await client.close();
    await plot(app.url, PICTURE, String(begin), String(Date.now()));
  } finally {
    await app.stop();
    await fleet.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** Short and long ones, so that the fleet has something to balance. */
function submitOne(client: GatewayClient, n: number): Promise<string> {
  const input = { prompt: `a paper boat ${n} ${Date.now()}`, steps: 8 + (n % 5) * 6 };
  return submit(client, 'generateImage', input);
}

async function fewLeft(client: GatewayClient, count: number): Promise<void> {
  const watching = client.watch<{ queue: { pending: number; processing: number } }>(
    'subscription { queue { id pending processing } }',
    {},
  );
  for await (const { data } of watching) {
    if (!data) continue;
    const { pending, processing } = data.queue;
    if (pending + processing <= count) return;
  }
}

/** Resolves when the last job is in the figures. */
async function counted(client: GatewayClient): Promise<void> {
  const all = BURSTS.reduce((sum, { jobs }) => sum + jobs, 0);
  for await (const { data } of client.watch<{ metrics: { totalProcessed: number } }>(
    'subscription { metrics { id totalProcessed } }',
    {},
  ))
    if ((data?.metrics.totalProcessed ?? 0) >= all) return;
}
