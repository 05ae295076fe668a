/**
 * What being scraped costs: the same paced jobs through one gateway with Prometheus at it and without, the rounds take turns;
 * CPU of the gateway's process as it tells it itself. Scraped every 50 ms, far more often than anybody does, and as a
 * Prometheus at its worst does (1 s; 15 s is usual). Answers are made once a second, whoever asks.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { type Driver, gatewayDriver } from './drivers.ts';
import { oneByOne } from './pace.ts';
import { type Program, startProgram } from './processes.ts';
import { median, quantile } from './statistics.ts';

const ROUNDS = 5;
/** Of a round; all rounds have 1,000 scrapes at the faster pace. */
const JOBS = 100;
const JOB_EVERY_MS = 100;
const ROUND_MS = JOBS * JOB_EVERY_MS;
const WARM_UP = 200;
const PACES = [50, 1000];

/** Makes every job differ from every other, and from those of the warm-up. */
let color = 1_000_000;

interface Round {
  /** CPU of the gateway. */
  readonly cpuMs: number;
  readonly scrapes: readonly Scrape[];
}

interface Scrape {
  readonly ms: number;
  readonly bytes: number;
  /** process_cpu_seconds_total, in ms. */
  readonly cpuMs: number;
}

export async function scrape(): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-bench-'));
  const programs: Program[] = [];
  try {
    const quick = ['--step-ms', '0', '--node-ms', '0', '--model-load-ms', '0'];
    const simulate = () => startProgram(['simulate', '--port', '0', ...quick]);
    programs.push(await simulate(), await simulate());
    const instances = programs.map(({ url }) => url).join(',');
    const gateway = await startProgram(['serve'], {
      ...{ PORT: '0', DATA_DIR: dataDir, COMFYUI_INSTANCES: instances, LOG_LEVEL: 'info' },
    });
    programs.push(gateway);
    const driver = await gatewayDriver(gateway.url);
    await oneByOne(driver, WARM_UP);
    await measure(driver, gateway.url);
    await driver.close();
  } finally {
    await Promise.all(programs.map((program) => program.stop()));
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function measure(driver: Driver, url: string): Promise<void> {
  const agent = new Agent();
  const none: Round[] = [];
  const scraped = PACES.map((): Round[] => []);
  for (let n = 0; n < ROUNDS; n++) {
    none.push(await round(driver, url, agent, null));
    for (const [at, everyMs] of PACES.entries()) scraped[at]?.push(await round(driver, url, agent, everyMs));
  }
  await agent.close();
  console.log(`scrape: ${JOBS} jobs in ${ROUND_MS / 1000} s a round, median of ${ROUNDS} rounds\n`);
  console.log(`  not scraped      ${percent(median(none.map(share)))} of a core`);
  for (const [at, everyMs] of PACES.entries()) report(everyMs, scraped[at] ?? [], none);
}

function report(everyMs: number, rounds: readonly Round[], none: readonly Round[]): void {
  const added = median(rounds.map((one, n) => share(one) - share(none[n] as Round)));
  const all = rounds.flatMap(({ scrapes }) => scrapes);
  const times = all.map(({ ms }) => ms);
  console.log(
    `  every ${everyMs} ms`.padEnd(19) +
      `${percent(median(rounds.map(share)))} of a core, ${percent(added)} more; ` +
      `${all.length} scrapes of ${median(all.map(({ bytes }) => bytes))} bytes, ` +
      `p50 ${quantile(times, 0.5).toFixed(1)} ms, p99 ${quantile(times, 0.99).toFixed(1)} ms`,
  );
}

/** One round of jobs at a steady pace, with scrapes beside it. */
async function round(driver: Driver, url: string, agent: Agent, everyMs: number | null): Promise<Round> {
  const before = await scrapeAnew(url, agent);
  const begun = performance.now();
  const next = (n: number, ms: number) => sleep(Math.max(0, begun + n * ms - performance.now()));
  const scrapes: Scrape[] = [];
  const jobs: Promise<void>[] = [];
  const drive = async () => {
    for (let n = 1; n <= JOBS; n++) {
      jobs.push(driver.run(color++));
      await next(n, JOB_EVERY_MS);
    }
    await Promise.all(jobs);
  };
  const look = async () => {
    for (let n = 1; everyMs !== null && n <= ROUND_MS / everyMs; n++) {
      scrapes.push(await scrapeOnce(url, agent));
      await next(n, everyMs);
    }
  };
  await Promise.all([drive(), look()]);
  const after = await scrapeAnew(url, agent);
  return { cpuMs: after.cpuMs - before.cpuMs, scrapes };
}

/** What is answered is made at most once a second: one that tells of now. */
async function scrapeAnew(url: string, agent: Agent): Promise<Scrape> {
  await sleep(1100);
  return scrapeOnce(url, agent);
}

async function scrapeOnce(url: string, agent: Agent): Promise<Scrape> {
  const begun = performance.now();
  const text = await (await request(`${url}/metrics`, { dispatcher: agent })).body.text();
  const seconds = Number(/^process_cpu_seconds_total (\S+)$/m.exec(text)?.[1]);
  return { ms: performance.now() - begun, bytes: Buffer.byteLength(text), cpuMs: seconds * 1000 };
}

const share = ({ cpuMs }: Round): number => cpuMs / ROUND_MS;
const percent = (value: number): string => `${(value * 100).toFixed(2)} %`;
