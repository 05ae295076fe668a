/** nginx in front of the replicas, with the configuration that deployments use. */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { findPrograms } from '../../test/support/services/programs.ts';
import { ServerProcess } from '../../test/support/services/server-process.ts';
import { NGINX } from '../../test/support/services/wanted.ts';
import { answers, freePort } from '../ports.ts';

const CONFIG = fileURLToPath(new URL('../../deploy/nginx.conf', import.meta.url));
const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
const START_WITHIN_MS = 10_000;

export class Front implements AsyncDisposable {
  readonly port: number;
  readonly #process: ServerProcess;

  private constructor(port: number, process: ServerProcess) {
    this.port = port;
    this.#process = process;
  }

  /** Before these ports of 127.0.0.1; serves. */
  static async before(ports: readonly number[]): Promise<Front> {
    const [found] = await findPrograms([NGINX]);
    if (found?.kind !== 'commands') throw new Error('nginx is needed on this machine');
    const port = await freePort();
    const folder = await mkdtemp(join(tmpdir(), 'comfyfleet-front-'));
    const file = join(folder, 'nginx.conf');
    await writeFile(file, configOf(await readFile(CONFIG, 'utf8'), folder, port, ports));
    const args = ['-p', folder, '-e', join(folder, 'error.log'), '-c', file];
    const front = new Front(port, new ServerProcess({ command: found.paths.nginx ?? '', args, folder }));
    await front.#start();
    return front;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async #start(): Promise<void> {
    await this.#process.launch();
    const deadline = performance.now() + START_WITHIN_MS;
    while (!(await answers(`${this.url}/live`))) {
      if (performance.now() > deadline)
        throw new Error(`nginx does not serve: ${await this.#process.lastWords()}`);
      await sleep(20);
    }
  }

  /** In order, so that its workers end with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.signal('SIGTERM');
    await this.#process.ended();
    await this.#process.dispose();
  }
}

/** The file of the deployment, with names and places of this machine. @throws when it has changed beyond recognition. */
function configOf(text: string, folder: string, port: number, ports: readonly number[]): string {
  let found = 0;
  const config = text
    .replace(/server api-(\d+):4000 resolve/g, (_, n: string) => {
      found += 1;
      return `server 127.0.0.1:${ports[(Number(n) - 1) % ports.length]}`;
    })
    // names of containers are asked for there; a log line a request would be measured too
    .replace(/^ *resolver .*$/m, '')
    .replace(/^ *access_log .*$/m, 'access_log off;')
    .replace(/^error_log .*$/m, `error_log ${join(folder, 'error.log')} warn;`)
    .replace(/listen 8080\b/, `listen 127.0.0.1:${port}`)
    .replace(
      /^http \{$/m,
      `http {\n${TEMPORARY.map((name) => `${name}_temp_path ${join(folder, name)};`).join('\n')}`,
    );
  if (found < 2 || !config.includes(`:${port}`))
    throw new Error('deploy/nginx.conf is not as it is expected');
  return `daemon off;\nuser ${userInfo().username};\npid ${join(folder, 'nginx.pid')};\n${config}`;
}
