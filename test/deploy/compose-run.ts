/**
 * docker-compose.yml without an engine: each of our own services as a process with the command, the environment and the
 * health check that it has there, behind the real nginx; names become ports of this machine, and the bought-in services
 * those that tests run with.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { compile } from '../../chaos/compile.ts';
import { freePort } from '../../chaos/ports.ts';
import { eventually } from '../support/eventually.ts';
import { S3_CREDENTIALS, S3Server } from '../support/services/s3-server.ts';
import { ServerProcess } from '../support/services/server-process.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';
import { type ComposeService, ownServices, readCompose } from './compose-file.ts';
import { readDockerfile } from './dockerfile.ts';
import { ReverseProxy } from './proxy.ts';

const run = promisify(execFile);

/** One of our own services, as a process. */
export class ServiceRun {
  readonly name: string;
  readonly process: ServerProcess;
  readonly #env: Record<string, string>;
  readonly #healthcheck: readonly string[];
  readonly #folder: string;

  constructor(name: string, service: ComposeService, program: string, ground: Ground) {
    this.name = name;
    this.#folder = mkdtempSync(join(tmpdir(), `comfyfleet-${name}-`));
    const image = readDockerfile().at(-1);
    const environment = { ...image?.environment, ...service.environment };
    this.#env = { ...ground.mapped(environment, name), DATA_DIR: join(this.#folder, 'data') };
    const [node = '', , ...rest] = [
      ...(image?.entrypoint ?? []),
      ...(service.command ?? image?.command ?? []),
    ];
    const args = [program, ...ground.mappedArguments(rest, name, environment.PORT)];
    this.process = new ServerProcess({ command: nodeFor(node), args, folder: this.#folder, env: this.#env });
    this.#healthcheck = service.healthcheck?.test ?? [];
  }

  /** As the engine asks: by the exit code of the command, inside. */
  async healthy(): Promise<boolean> {
    const [how, command = '', ...args] = this.#healthcheck;
    if (how !== 'CMD') throw new Error(`${this.name} has a health check of another kind`);
    return run(nodeFor(command), args, { env: this.#env, timeout: 5000 }).then(
      () => true,
      () => false,
    );
  }

  log(): string {
    return readFileSync(join(this.#folder, 'server.log'), 'utf8');
  }
}

/** What stands in for names, ports and bought-in services. */
interface Ground {
  mapped(environment: Readonly<Record<string, string>>, name: string): Record<string, string>;
  mappedArguments(args: readonly string[], name: string, port: string | undefined): string[];
}

export interface ComposeRun {
  readonly proxy: ReverseProxy;
  readonly services: ReadonlyMap<string, ServiceRun>;
  stop(): Promise<void>;
}

/** Resolves when every service is healthy, started in the order of `depends_on`. */
export async function startCompose(): Promise<ComposeRun> {
  const ended: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const end of ended.splice(0).reverse()) await end();
  };
  try {
    const [program, database, s3] = await Promise.all([compile(), createTestDatabase(), S3Server.create()]);
    ended.push(
      () => database.drop(),
      () => s3.dispose(),
    );
    await s3.start();
    const own = ownServices(readCompose());
    const ports = new Map<string, number>();
    for (const [name, { environment }] of own) ports.set(`${name}:${environment?.PORT}`, await freePort());
    const ground = groundOf(ports, database, s3);
    const services = new Map(
      own.map(([name, service]) => [name, new ServiceRun(name, service, program, ground)]),
    );
    for (const service of services.values()) {
      ended.push(() => service.process.dispose());
      await service.process.launch();
    }
    for (const service of services.values()) await becomesHealthy(service);
    const proxy = await ReverseProxy.create(await freePort(), (place) => `127.0.0.1:${ports.get(place)}`);
    ended.push(() => proxy.dispose());
    await proxy.start();
    return { proxy, services, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function becomesHealthy(service: ServiceRun): Promise<void> {
  await eventually(
    async () => {
      if (!(await service.process.running())) throw new Error(`${service.name} ended:\n${service.log()}`);
      return service.healthy();
    },
    { withinMs: 60_000, what: `${service.name} is healthy` },
  ).catch((error: Error) => {
    throw new Error(`${error.message}\n${service.log()}`);
  });
}

function groundOf(ports: ReadonlyMap<string, number>, database: TestDatabase, s3: S3Server): Ground {
  const portOf = (name: string, port = '') => String(ports.get(`${name}:${port}`));
  const here = (text: string) =>
    text
      .replaceAll('http://s3:8333', s3.url)
      .replace(/\/\/([\w-]+:\d+)/g, (all, place: string) =>
        ports.has(place) ? `//127.0.0.1:${ports.get(place)}` : all,
      );
  return {
    mapped(environment, name) {
      const mapped = Object.entries(environment).map(([key, value]) => [key, here(value)]);
      return {
        ...Object.fromEntries(mapped),
        HOST: '127.0.0.1',
        PORT: portOf(name, environment.PORT),
        ...(environment.DATABASE_URL && {
          DATABASE_URL: database.url,
          REDIS_URL: process.env.REDIS_URL,
          REDIS_PREFIX: new URL(database.url).pathname.slice(1),
          ...S3_CREDENTIALS,
        }),
      };
    },
    mappedArguments: (args, name, port) =>
      args.map((arg) => {
        if (arg === '0.0.0.0') return '127.0.0.1';
        return arg === port ? portOf(name, port) : arg;
      }),
  };
}

const nodeFor = (command: string): string => (command === 'node' ? process.execPath : command);
