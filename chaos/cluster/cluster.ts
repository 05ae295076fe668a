/**
 * A whole cluster on this machine: Postgres and Redis of its own, API replicas, schedulers, a folder that they share, and
 * simulated instances. Everything ends with the scenario.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Db } from '../../src/store/open.ts';
import { withStoreOf } from '../../test/support/history-checker.ts';
import { PostgresServer } from '../../test/support/services/postgres-server.ts';
import { RedisServer } from '../../test/support/services/redis-server.ts';
import type { Env } from '../environment.ts';
import { startAll } from '../load.ts';
import {
  type GatewayProgram,
  type Ground,
  type SimulatorProgram,
  type SimulatorSetting,
  withGround,
} from '../processes.ts';
import { installAudit } from './audit.ts';
import { ClusterRows } from './cluster-rows.ts';

export interface ClusterSetting {
  readonly apis: number;
  readonly schedulers: number;
  readonly instances: number;
  /** Instances that run, and that no configuration names. */
  readonly spares?: number;
  readonly simulator?: SimulatorSetting;
  /** Of every gateway program. */
  readonly env?: Env;
}

export interface Cluster {
  readonly ground: Ground;
  readonly postgres: PostgresServer;
  readonly redis: RedisServer;
  readonly apis: readonly GatewayProgram[];
  readonly schedulers: readonly GatewayProgram[];
  /** Those of the configuration, then the spares. */
  readonly instances: readonly SimulatorProgram[];
  readonly rows: ClusterRows;
  /** Where outputs lie. */
  readonly files: string;
  /** The program that the database knows by this name. */
  named(name: string): GatewayProgram;
  /** Opens the store for a moment. */
  withStore<T>(work: (db: Db) => Promise<T>): Promise<T>;
}

/** A cluster that serves, for as long as the work takes. */
export function withCluster<T>(setting: ClusterSetting, work: (cluster: Cluster) => Promise<T>): Promise<T> {
  return withGround((ground) => withClusterOn(ground, setting, work));
}

/** The same on a ground that holds something for it already. */
export async function withClusterOn<T>(
  ground: Ground,
  setting: ClusterSetting,
  work: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  const postgres = await PostgresServer.create();
  const redis = await RedisServer.create();
  const rows = new ClusterRows(postgres.url);
  try {
    await Promise.all([postgres.start(), redis.start()]);
    return await work(await assemble(setting, { ground, postgres, redis, rows }));
  } finally {
    await ground.endAll();
    await rows.close();
    await Promise.all([postgres.dispose(), redis.dispose()]);
  }
}

type Base = Pick<Cluster, 'ground' | 'postgres' | 'redis' | 'rows'>;

async function assemble(setting: ClusterSetting, base: Base): Promise<Cluster> {
  const { ground, postgres, redis, rows } = base;
  const { spares = 0 } = setting;
  const instances = await Promise.all(
    Array.from({ length: setting.instances + spares }, (_, n) =>
      ground.simulator(`gpu${n + 1}`, setting.simulator),
    ),
  );
  const configured = instances.slice(0, setting.instances);
  const files = join(ground.folder, 'shared');
  await mkdir(files, { recursive: true });
  const shared: Env = {
    REDIS_URL: redis.url,
    STORAGE_URL: pathToFileURL(files).href,
    GRAPHIQL: 'false',
    ...setting.env,
  };
  const programs = (count: number, ROLE: 'api' | 'scheduler'): Promise<GatewayProgram[]> =>
    Promise.all(
      Array.from({ length: count }, (_, n) => {
        const name = `${ROLE}-${n + 1}`;
        const DATABASE_URL = `${postgres.url}?application_name=${name}`;
        return ground.gateway(configured, { ...shared, ROLE, DATABASE_URL }, name);
      }),
    );
  const apis = await programs(setting.apis, 'api');
  const schedulers = await programs(setting.schedulers, 'scheduler');
  const [first, ...others] = apis;
  await startAll([...instances, ...(first ? [first] : [])]);
  await installAudit(rows);
  await startAll([...others, ...schedulers]);
  return {
    ...base,
    ...{ apis, schedulers, instances, files },
    named: (name) => named([...apis, ...schedulers], name),
    withStore: (work) => withStoreOf(ground.folder, work, postgres.url),
  };
}

function named(programs: readonly GatewayProgram[], wanted: string): GatewayProgram {
  const found = programs.find(({ name }) => name === wanted);
  if (!found) throw new Error(`no program is called ${wanted}`);
  return found;
}
