/** A Postgres of a test's own, in a temporary folder: it may be stopped, killed and paused. */
import { execFile } from 'node:child_process';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { freePort } from '../../../chaos/ports.ts';
import { Container } from './container.ts';
import type { Daemon } from './daemon.ts';
import { unprivileged } from './owner.ts';
import { type Found, findPrograms } from './programs.ts';
import { Server } from './server.ts';
import { ServerProcess } from './server-process.ts';
import { POSTGRES } from './wanted.ts';

const run = promisify(execFile);

/** How it goes down: `fast` ends its connections in order, `immediate` drops everything and recovers at the next start. */
export type StopMode = 'fast' | 'immediate';

const SIGNALS = { fast: 'SIGINT', immediate: 'SIGQUIT' } as const;

/** Nobody cuts the power of a test; what the system was given survives the death of every process. */
const SETTINGS: Readonly<Record<string, string>> = {
  fsync: 'off',
  full_page_writes: 'off',
  max_connections: '300',
  shared_buffers: '64MB',
  autovacuum_naptime: '10s',
};

export class PostgresServer extends Server {
  readonly url: string;

  private constructor(daemon: Daemon, port: number) {
    super(daemon);
    this.url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  }

  /** Not started yet; the settings change those of tests. @throws when there is no Postgres and none can be had. */
  static async create(changed: Readonly<Record<string, string>> = {}): Promise<PostgresServer> {
    const [found] = await findPrograms([POSTGRES]);
    const port = await freePort();
    const settings = Object.entries({ ...SETTINGS, ...changed }).flatMap(([name, value]) => [
      '-c',
      `${name}=${value}`,
    ]);
    return new PostgresServer(await daemonOf(found as Found, port, settings), port);
  }

  async stop(mode: StopMode = 'fast'): Promise<void> {
    await this.end(SIGNALS[mode]);
  }

  async restart(mode: StopMode = 'fast'): Promise<void> {
    await this.stop(mode);
    await this.start();
  }

  async answers(): Promise<boolean> {
    const client = new pg.Client({ connectionString: this.url, connectionTimeoutMillis: 1000 });
    // It may break once more after it has failed.
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.end();
      return true;
    } catch {
      return false;
    }
  }
}

async function daemonOf(found: Found, port: number, settings: readonly string[]): Promise<Daemon> {
  if (found.kind === 'image') {
    const env = { POSTGRES_HOST_AUTH_METHOD: 'trust' };
    return new Container({
      image: found.image,
      port,
      innerPort: 5432,
      env,
      command: ['postgres', ...settings],
    });
  }
  const owner = unprivileged();
  const folder = await mkdtemp(join(tmpdir(), 'comfyfleet-postgres-'));
  const data = join(folder, 'data');
  const { postgres = '', initdb = '' } = found.paths;
  try {
    if (owner) await chown(folder, owner.uid, owner.gid);
    const how = ['--no-sync', '--auth=trust', '--encoding=UTF8', '--locale=C', '--username=postgres'];
    await run(initdb, ['-D', data, ...how], { cwd: folder, ...owner });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  const where = ['-D', data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1'];
  const args = [...where, '-c', `unix_socket_directories=${folder}`, ...settings];
  return new ServerProcess({ command: postgres, args, folder, owner });
}
