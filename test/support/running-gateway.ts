/**
 * The whole gateway in this process, on a free port, with a data folder of its own and simulated instances: as
 * `comfyfleet serve` builds it, but with intervals that suit a test.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { createApp } from '../../src/app.ts';
import { type Config, parseConfig } from '../../src/config.ts';
import { neverCrash } from '../../src/domain/crash-points.ts';
import { createLogger, type Logger } from '../../src/lib/logger.ts';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../src/simulator/simulator.ts';
import type { Tracing } from '../../src/tracing/tracing.ts';
import { eventually } from './eventually.ts';
import { TestClient } from './graphql-client.ts';

export interface GatewayOptions {
  /** One simulated instance for each; default one. */
  readonly instances?: readonly SimulatorOptions[];
  readonly config?: Partial<Config>;
  /** What it says; default: as TEST_LOG says. */
  readonly logger?: Logger;
  /** Where the spans go, anew for each start; default: as the configuration says. */
  readonly tracing?: () => Tracing;
}

export interface RunningGateway {
  readonly url: string;
  readonly dataDir: string;
  readonly client: TestClient;
  readonly instances: readonly Simulator[];
  /** Stops it in order and starts it again at the same address; the instances go on meanwhile. */
  restart(): Promise<void>;
  /** Stops only the gateway, so that its store can be read. */
  halt(): Promise<void>;
  stop(): Promise<void>;
}

/** Everything found out by asking is found out soon; nothing depends on the exact times. */
const QUICK: Partial<Config> = {
  port: 0,
  databaseSynchronous: 'NORMAL',
  probeIntervalMs: 200,
  probeTimeoutMs: 1000,
  unhealthyAfterMisses: 2,
  reconcileIntervalMs: 500,
  silenceMs: 1000,
  refusedLostMs: 400,
  retryBaseMs: 10,
  retryCapMs: 50,
};

/** Of a test: stopped when it is finished. Resolves when every instance is known and healthy. */
export async function startGateway(options: GatewayOptions = {}): Promise<RunningGateway> {
  const gateway = await launch(options);
  onTestFinished(() => gateway.stop());
  return gateway;
}

/** Of a file: started before its tests, stopped after them. */
export function sharedGateway(options: GatewayOptions = {}): () => RunningGateway {
  let gateway: RunningGateway | undefined;
  beforeAll(async () => {
    gateway = await launch(options);
  });
  afterAll(() => gateway?.stop());
  return () => {
    if (!gateway) throw new Error('the gateway runs during tests only');
    return gateway;
  };
}

async function launch({
  instances: wanted = [{}],
  config = {},
  logger = createLogger(logLevel()),
  tracing,
}: GatewayOptions): Promise<RunningGateway> {
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-app-'));
  const instances = await Promise.all(wanted.map((options) => startSimulator(options)));
  const comfyuiInstances = instances.map(({ url }, index) => ({ name: `gpu${index + 1}`, url, capacity: 1 }));
  const begin = async (port: number) => {
    const settings = { ...parseConfig({}), ...QUICK, comfyuiInstances, dataDir, ...config, port };
    const started = await createApp(settings, logger, neverCrash, undefined, tracing?.());
    await started.start();
    return started;
  };
  let app = await begin(config.port ?? 0);
  const { url } = app;
  const client = new TestClient(url);
  const gateway: RunningGateway = {
    url,
    dataDir: config.dataDir ?? dataDir,
    client,
    instances,
    async restart() {
      await app.stop();
      app = await begin(Number(new URL(url).port));
    },
    halt: () => app.stop(),
    async stop() {
      await client.close();
      await app.stop();
      await Promise.all(instances.map((instance) => instance.stop()));
      await rm(dataDir, { recursive: true, force: true });
    },
  };
  await healthyInstances(gateway, instances.length);
  return gateway;
}

/** TEST_LOG=debug shows what the gateway says while a test runs. */
function logLevel(): Config['logLevel'] {
  return parseConfig({ LOG_LEVEL: process.env.TEST_LOG ?? 'silent' }).logLevel;
}

export async function healthyInstances(
  { client }: Pick<RunningGateway, 'client'>,
  count: number,
): Promise<void> {
  await eventually(
    async () => {
      const { health } = await client.run<{ health: { instancesHealthy: number } }>(
        '{ health { instancesHealthy } }',
      );
      return health.instancesHealthy === count;
    },
    { what: `${count} healthy instances` },
  );
}
