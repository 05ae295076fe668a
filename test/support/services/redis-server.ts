/** A Redis of a test's own, which keeps nothing on disk: it may be stopped, killed, paused and emptied. */
import { mkdtemp } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../../chaos/ports.ts';
import { Container } from './container.ts';
import type { Daemon } from './daemon.ts';
import { type Found, findPrograms } from './programs.ts';
import { Server } from './server.ts';
import { ServerProcess } from './server-process.ts';
import { REDIS } from './wanted.ts';

const FORGETFUL = ['--save', '', '--appendonly', 'no'];

export class RedisServer extends Server {
  readonly url: string;
  readonly #port: number;

  private constructor(daemon: Daemon, port: number) {
    super(daemon);
    this.#port = port;
    this.url = `redis://127.0.0.1:${port}`;
  }

  /** Not started yet. @throws when there is no Redis and none can be had. */
  static async create(): Promise<RedisServer> {
    const [found] = await findPrograms([REDIS]);
    const port = await freePort();
    return new RedisServer(await daemonOf(found as Found, port), port);
  }

  async stop(): Promise<void> {
    await this.end('SIGTERM');
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Everything it holds is gone. */
  async flushAll(): Promise<void> {
    const answer = await ask(this.#port, 'FLUSHALL');
    if (!answer.startsWith('+OK')) throw new Error(`Redis answered ${answer}`);
  }

  async answers(): Promise<boolean> {
    return (await ask(this.#port, 'PING').catch(() => '')).startsWith('+PONG');
  }
}

async function daemonOf(found: Found, port: number): Promise<Daemon> {
  if (found.kind === 'image') {
    const command = ['redis-server', ...FORGETFUL];
    return new Container({ image: found.image, port, innerPort: 6379, command });
  }
  const folder = await mkdtemp(join(tmpdir(), 'comfyfleet-redis-'));
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, ...FORGETFUL];
  return new ServerProcess({ command: found.paths['redis-server'] ?? '', args, folder });
}

/** One command as a person would type it, and the first that comes back. */
function ask(port: number, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket.setTimeout(1000, () => socket.destroy(new Error('Redis does not answer')));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('Redis hung up')));
    socket.once('data', (data) => {
      resolve(data.toString());
      socket.destroy();
    });
    socket.write(`${command}\r\n`);
  });
}
