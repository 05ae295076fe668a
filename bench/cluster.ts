/**
 * The cluster beside the embedded default: the same tiny jobs through two API replicas, two schedulers, Postgres (that
 * syncs) and Redis, and through one process with SQLite, both up all the time, the rounds taking turns. Latency one at a
 * time, throughput with 40 at once. Everything shares the cores of this machine: of a cluster on machines of its own this
 * shows what its parts cost, not what they can do together. BENCH_JOBS and BENCH_ROUNDS set the size.
 */
import { cpus } from 'node:os';
import { processorMs } from '../chaos/load-scenarios/process-cost.ts';
import { withServers } from '../chaos/load-scenarios/servers.ts';
import { clusterStage, embeddedStage, type Stage } from '../chaos/load-scenarios/stage.ts';
import { withGround } from '../chaos/processes.ts';
import { type Driver, gatewayDriver } from './drivers.ts';
import { allAtOnce, oneByOne } from './pace.ts';
import { median, quantile } from './statistics.ts';

const JOBS = Number(process.env.BENCH_JOBS ?? 500);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5);
const AT_ONCE = 40;
const WARM_UP = 100;
const SETTING = { apis: 2, schedulers: 2, simulators: 2 };

interface Side {
  readonly stage: Stage;
  readonly drivers: readonly Driver[];
}

interface Round {
  /** In ms. */
  readonly latencies: readonly number[];
  readonly jobsPerSecond: number;
  /** Processor time of a job while many run, in ms. */
  readonly apiMs: number;
  readonly schedulerMs: number;
}

export async function cluster(): Promise<void> {
  await withGround((ground) =>
    withServers(async (servers) => {
      const sides: readonly Side[] = await Promise.all(
        [await embeddedStage(ground, SETTING), await clusterStage(ground, servers, SETTING)].map(driven),
      );
      for (const { drivers } of sides) {
        for (const driver of drivers) await oneByOne(driver, WARM_UP);
      }
      const rounds: Round[][] = sides.map(() => []);
      for (let round = 0; round < ROUNDS; round++) {
        for (const [n, side] of sides.entries()) rounds[n]?.push(await measured(side));
      }
      print(rounds);
      for (const { drivers } of sides) await Promise.all(drivers.map((driver) => driver.close()));
    }),
  );
}

async function driven(stage: Stage): Promise<Side> {
  return { stage, drivers: await Promise.all(stage.apis.map(({ url }) => gatewayDriver(url))) };
}

async function measured({ stage, drivers }: Side): Promise<Round> {
  const [first] = drivers;
  if (!first) throw new Error('no replica');
  const latencies = await oneByOne(first, JOBS);
  const used = (): number[] =>
    [stage.apis, stage.schedulers].map((programs) =>
      programs.reduce((sum, program) => sum + processorMs(program), 0),
    );
  const [apiBefore = 0, schedulerBefore = 0] = used();
  const jobsPerSecond = await allAtOnce(drivers, JOBS, AT_ONCE);
  const [api = 0, scheduler = 0] = used();
  return {
    latencies,
    jobsPerSecond,
    apiMs: (api - apiBefore) / JOBS,
    schedulerMs: (scheduler - schedulerBefore) / JOBS,
  };
}

function print(rounds: readonly (readonly Round[])[]): void {
  const [embedded = [], clustered = []] = rounds;
  const line = (name: string, of: (round: Round) => number, unit: string, digits: number): void => {
    const [one, other] = [embedded, clustered].map((side) => median(side.map(of)));
    const show = (value: number): string => `${value.toFixed(digits)} ${unit}`.padStart(12);
    console.log(`  ${name.padEnd(40)}${show(one ?? 0)}${show(other ?? 0)}`);
  };
  console.log(
    `cluster: ${JOBS} jobs a round, median of ${ROUNDS} rounds, 2 simulated instances, all on ${cpus().length} cores\n`,
  );
  console.log(`${' '.repeat(42)}    embedded     cluster`);
  line('latency p50', ({ latencies }) => quantile(latencies, 0.5), 'ms', 2);
  line('latency p99', ({ latencies }) => quantile(latencies, 0.99), 'ms', 2);
  line(`jobs/s, ${AT_ONCE} at once`, ({ jobsPerSecond }) => jobsPerSecond, '/s', 0);
  line('processor time a job, serving (or all)', ({ apiMs }) => apiMs, 'ms', 2);
  line('processor time a job, scheduling', ({ schedulerMs }) => schedulerMs, 'ms', 2);
}
