/**
 * What the gateway adds to a job: 500 jobs of near-zero run time through it beside the same 500 driven straight at the
 * same simulated instance by a bare client; the rounds take turns. Latency one at a time, throughput with 40 at once.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bareDriver, type Driver, gatewayDriver } from './drivers.ts';
import { allAtOnce, oneByOne } from './pace.ts';
import { type Program, startProgram } from './processes.ts';
import { median, quantile } from './statistics.ts';

const JOBS = 500;
const ROUNDS = 5;
const AT_ONCE = 40;
const WARM_UP = 100;

interface Round {
  /** Latencies in ms. */
  readonly direct: readonly number[];
  readonly gateway: readonly number[];
  readonly directRate: number;
  readonly gatewayRate: number;
}

export async function overhead(): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-bench-'));
  const programs: Program[] = [];
  try {
    const instances = await Promise.all([startSimulator(), startSimulator()]);
    programs.push(...instances);
    const gateway = await startProgram(['serve'], {
      PORT: '0',
      DATA_DIR: dataDir,
      COMFYUI_INSTANCES: instances.map(({ url }) => url).join(','),
      LOG_LEVEL: 'info',
    });
    programs.push(gateway);
    const bares = await Promise.all(instances.map(({ url }) => bareDriver(url)));
    const through = await gatewayDriver(gateway.url);
    await measure(bares, through);
    await Promise.all([...bares, through].map((driver) => driver.close()));
  } finally {
    await Promise.all(programs.map((program) => program.stop()));
    await rm(dataDir, { recursive: true, force: true });
  }
}

function startSimulator(): Promise<Program> {
  return startProgram([
    'simulate',
    '--port',
    '0',
    '--step-ms',
    '0',
    '--node-ms',
    '0',
    '--model-load-ms',
    '0',
  ]);
}

async function measure(bares: readonly Driver[], through: Driver): Promise<void> {
  const [bare] = bares;
  if (!bare) throw new Error('no instance');
  await oneByOne(bare, WARM_UP);
  await oneByOne(through, WARM_UP);
  const rounds: Round[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const direct = await oneByOne(bare, JOBS);
    const gateway = await oneByOne(through, JOBS);
    const directRate = await allAtOnce(bares, JOBS, AT_ONCE);
    const gatewayRate = await allAtOnce([through], JOBS, AT_ONCE);
    rounds.push({ direct, gateway, directRate, gatewayRate });
  }
  const at = (q: number, of: 'direct' | 'gateway') => median(rounds.map((round) => quantile(round[of], q)));
  const added = (q: number) =>
    median(rounds.map((round) => quantile(round.gateway, q) - quantile(round.direct, q)));
  console.log(`overhead: ${JOBS} jobs a round, median of ${ROUNDS} rounds, 2 simulated instances\n`);
  console.log('                          bare client      gateway        added');
  for (const q of [0.5, 0.99]) {
    console.log(
      `  latency p${String(q * 100).padEnd(2)}          ${ms(at(q, 'direct'))}     ${ms(at(q, 'gateway'))}     ${ms(added(q))}`,
    );
  }
  const directRate = median(rounds.map((round) => round.directRate));
  const gatewayRate = median(rounds.map((round) => round.gatewayRate));
  console.log(
    `  jobs/s, ${AT_ONCE} at once     ${rate(directRate)}     ${rate(gatewayRate)}     x ${(gatewayRate / directRate).toFixed(2)}`,
  );
}

const ms = (value: number) => `${value.toFixed(2).padStart(8)} ms`;
const rate = (value: number) => `${value.toFixed(0).padStart(8)} /s`;
