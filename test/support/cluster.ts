/**
 * The gateway as a team runs it: api replicas, a scheduler and its standby, each a process of its own, on one Postgres, one
 * Redis and one shared folder, with simulated instances in this process. Tests of a file may share one, if each leaves it
 * whole.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createLogger } from '../../src/lib/logger.ts';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../src/simulator/simulator.ts';
import { openAttempts } from '../../src/store/attempts.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { eventually } from './eventually.ts';
import { type GatewayProcess, startGatewayProcess } from './gateway-process.ts';
import { TestClient } from './graphql-client.ts';
import type { Evidence } from './history/evidence.ts';
import { assertHistory } from './history-checker.ts';
import { createTestDatabase } from './test-database.ts';

type Env = Record<string, string>;

export interface ClusterOptions {
  /** One simulated instance for each; default two. */
  readonly instances?: readonly SimulatorOptions[];
  readonly apis?: number;
  readonly schedulers?: number;
  readonly env?: Env;
}

export class Cluster {
  readonly apis: GatewayProcess[] = [];
  readonly schedulers: GatewayProcess[] = [];
  readonly instances: readonly Simulator[];
  /** Reads what the processes write. */
  readonly store: Store;
  readonly #env: Env;
  readonly #folder: string;
  readonly #ends: (() => Promise<unknown>)[];

  private constructor(
    parts: { readonly instances: readonly Simulator[]; readonly store: Store; readonly folder: string },
    env: Env,
    ends: (() => Promise<unknown>)[],
  ) {
    this.instances = parts.instances;
    this.store = parts.store;
    this.#folder = parts.folder;
    this.#env = env;
    this.#ends = ends;
  }

  /** Resolves when every replica serves and every instance is healthy. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const ends: (() => Promise<unknown>)[] = [];
    try {
      return await Cluster.#launch(options, ends);
    } catch (error) {
      await endAll(ends);
      throw error;
    }
  }

  static async #launch(options: ClusterOptions, ends: (() => Promise<unknown>)[]): Promise<Cluster> {
    const { instances: wanted = [{}, {}], apis = 2, schedulers = 2, env = {} } = options;
    const folder = await mkdtemp(join(tmpdir(), 'comfyfleet-cluster-'));
    ends.push(() => rm(folder, { recursive: true, force: true }));
    const database = await createTestDatabase();
    ends.push(() => database.drop());
    const store = await openStore({ url: database.url, dataDir: folder, logger: createLogger('silent') });
    ends.push(() => store.stop());
    const instances = await Promise.all(wanted.map((one) => startSimulator(one)));
    ends.push(() => Promise.all(instances.map((one) => one.stop())));
    const shared = {
      DATABASE_URL: database.url,
      REDIS_URL: process.env.REDIS_URL ?? '',
      REDIS_PREFIX: `test-${randomBytes(8).toString('hex')}`,
      STORAGE_URL: pathToFileURL(join(folder, 'files')).href,
      LEASE_TTL_MS: '2000',
      SHUTDOWN_GRACE_MS: '2000',
    };
    const cluster = new Cluster({ instances, store, folder }, { ...shared, ...env }, ends);
    await Promise.all([
      ...Array.from({ length: schedulers }, () => cluster.addScheduler()),
      ...Array.from({ length: apis }, () => cluster.addApi()),
    ]);
    await cluster.whole();
    return cluster;
  }

  /** Ends every process at once and leaves nothing behind. */
  async stop(): Promise<void> {
    await endAll(this.#ends);
  }

  async addApi(env: Env = {}): Promise<GatewayProcess> {
    const api = await this.#start('api', [], env);
    this.apis.push(api);
    return api;
  }

  /** It belongs to the cluster no more; resolves once it has ended. */
  async end(one: GatewayProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    for (const list of [this.apis, this.schedulers])
      if (list.includes(one)) list.splice(list.indexOf(one), 1);
    await one.end(signal);
  }

  async addScheduler(env: Env = {}): Promise<GatewayProcess> {
    const urls = this.instances.map(({ url }, index) => `gpu${index + 1}=${url}`);
    const scheduler = await this.#start('scheduler', urls, env);
    this.schedulers.push(scheduler);
    return scheduler;
  }

  /** A client of one api replica, counted from 0. */
  client(index = 0): TestClient {
    const client = new TestClient(this.apis[index]?.url ?? 'no such replica');
    this.#ends.push(() => client.close());
    return client;
  }

  /** The scheduler that says that it leads, other than `not`. */
  leader(not?: GatewayProcess): Promise<GatewayProcess> {
    return eventually(
      async () => {
        for (const one of this.schedulers) if (one !== not && (await roleOf(one)) === 'leader') return one;
        return null;
      },
      { what: 'a scheduler leads' },
    );
  }

  standby(leader: GatewayProcess): GatewayProcess {
    const other = this.schedulers.find((one) => one !== leader);
    if (!other) throw new Error('there is one scheduler only');
    return other;
  }

  /** Every instance is known, and healthy as far as the rows tell. */
  async whole(): Promise<void> {
    const client = this.client();
    await eventually(
      async () => {
        type Answer = { health: { instancesHealthy: number } };
        const { health } = await client.run<Answer>('{ health { instancesHealthy } }');
        return health.instancesHealthy === this.instances.length;
      },
      { what: 'all instances are healthy', withinMs: 20_000 },
    );
  }

  /** Waits until every instance is free, then holds all that happened against the promises. */
  async judged(differences: Partial<Evidence> = {}): Promise<void> {
    const { db } = this.store;
    await eventually(async () => (await openAttempts(db)).length === 0, { what: 'all attempts end' });
    const instances = this.instances.map(({ control }, index) => ({
      name: `gpu${index + 1}`,
      prompts: control.prompts(),
      executions: control.executions(),
    }));
    await assertHistory(db, { instances, ...differences });
  }

  #start(role: 'api' | 'scheduler', instances: readonly string[], env: Env): Promise<GatewayProcess> {
    const settings = { ...this.#env, ROLE: role, ...env };
    return startGatewayProcess(this.#folder, instances, settings, (end) => this.#ends.push(end));
  }
}

/** Last in, first out. */
async function endAll(ends: (() => Promise<unknown>)[]): Promise<void> {
  for (const end of ends.splice(0).reverse()) await end();
}

/** What a scheduler says of itself; null when it says nothing. */
async function roleOf({ url }: GatewayProcess): Promise<string | null> {
  try {
    const response = await fetch(`${url}/ready`, { signal: AbortSignal.timeout(500) });
    return ((await response.json()) as { scheduler?: string }).scheduler ?? null;
  } catch {
    return null;
  }
}
