/**
 * What a load runs against: replicas and schedulers over one database, bus and folder, or the embedded default, which is
 * one process with a store of its own. Set up as operators do it, with a database that syncs and nothing that watches
 * its rows, because the cost is what counts. All on this machine: the load shares its cores.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Env } from '../environment.ts';
import { GatewayProbe } from '../gateway-probe.ts';
import { DEFAULT_TIMES, startAll } from '../load.ts';
import {
  type GatewayProgram,
  type Ground,
  type SimulatorProgram,
  type SimulatorSetting,
  withGround,
} from '../processes.ts';
import { type Servers, withServers } from './servers.ts';

export interface StageSetting {
  readonly apis: number;
  readonly schedulers: number;
  readonly simulators: number;
  readonly simulator?: SimulatorSetting;
  readonly env?: Env;
  /** Of the schedulers alone. */
  readonly schedulerEnv?: Env;
  /** Before a gateway sees them. */
  readonly prepare?: (simulators: readonly SimulatorProgram[]) => Promise<void>;
}

export interface Stage {
  readonly ground: Ground;
  /** Answer GraphQL; at least one. */
  readonly apis: readonly GatewayProgram[];
  /** Empty where the one process does everything. */
  readonly schedulers: readonly GatewayProgram[];
  readonly simulators: readonly SimulatorProgram[];
  /** Looks into the first replica. */
  readonly probe: GatewayProbe;
}

/** A cluster that serves, for as long as the work takes. CHAOS_EMBEDDED=1: the embedded default in its place. */
export function withStage<T>(setting: StageSetting, work: (stage: Stage) => Promise<T>): Promise<T> {
  return withGround(async (ground) => {
    if (process.env.CHAOS_EMBEDDED) return work(await embeddedStage(ground, setting));
    return withServers(async (servers) => work(await clusterStage(ground, servers, setting)));
  });
}

export async function clusterStage(ground: Ground, servers: Servers, setting: StageSetting): Promise<Stage> {
  const simulators = await startSimulators(ground, setting, 'gpu');
  const shared = join(ground.folder, 'shared');
  await mkdir(shared, { recursive: true });
  const env: Env = {
    ...DEFAULT_TIMES,
    DATABASE_URL: servers.databaseUrl,
    REDIS_URL: servers.redisUrl,
    STORAGE_URL: pathToFileURL(shared).href,
    LOG_LEVEL: 'warn',
    ...setting.env,
  };
  const probe = await GatewayProbe.on(ground, 3_600_000);
  const some = (count: number, ROLE: string, more: (n: number) => Env): Promise<GatewayProgram[]> =>
    Promise.all(
      Array.from({ length: count }, (_, n) =>
        ground.gateway(simulators, { ...env, ROLE, ...more(n) }, `${ROLE}-${n + 1}`),
      ),
    );
  const schedulers = await some(setting.schedulers, 'scheduler', () => setting.schedulerEnv ?? {});
  const apis = await some(setting.apis, 'api', (n) => (n === 0 ? probe.env : {}));
  await startAll([...schedulers, ...apis]);
  return { ground, apis, schedulers, simulators, probe };
}

export async function embeddedStage(ground: Ground, setting: StageSetting): Promise<Stage> {
  const simulators = await startSimulators(ground, setting, 'embedded-gpu');
  const probe = await GatewayProbe.on(ground, 3_600_000);
  const env = { ...DEFAULT_TIMES, DATABASE_SYNCHRONOUS: '', LOG_LEVEL: 'warn', ...setting.env, ...probe.env };
  const gateway = await ground.gateway(simulators, env, 'embedded');
  await startAll([gateway]);
  return { ground, apis: [gateway], schedulers: [], simulators, probe };
}

async function startSimulators(
  ground: Ground,
  { simulators: count, simulator, prepare }: StageSetting,
  name: string,
): Promise<SimulatorProgram[]> {
  const simulators = await Promise.all(
    Array.from({ length: count }, (_, n) => ground.simulator(`${name}${n + 1}`, simulator)),
  );
  await startAll(simulators);
  await prepare?.(simulators);
  return simulators;
}
