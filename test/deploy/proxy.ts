/** The nginx of docker-compose.yml on this machine: its configuration, with the names and ports that it has here. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPrograms } from '../support/services/programs.ts';
import { Server } from '../support/services/server.ts';
import { ServerProcess } from '../support/services/server-process.ts';
import { NGINX } from '../support/services/wanted.ts';

const CONFIG = new URL('../../deploy/nginx.conf', import.meta.url);

/** The value of a directive, wherever it stands; all of them when it stands more than once. */
export function directive(name: string): string[] {
  const text = readFileSync(CONFIG, 'utf8').replace(/#.*$/gm, '');
  return [...text.matchAll(new RegExp(`(?<=^|[;{}\\n])\\s*${name}\\s+([^;{]+);`, 'g'))].map(
    ([, value]) => value ?? '',
  );
}

export class ReverseProxy extends Server {
  readonly url: string;
  readonly #log: string;

  private constructor(process: ServerProcess, url: string, folder: string) {
    super(process);
    this.url = url;
    this.#log = join(folder, 'server.log');
  }

  /** Not started yet. `here` is where a service of Compose listens on this machine: api-1:4000 to 127.0.0.1:20001. */
  static async create(port: number, here: (place: string) => string): Promise<ReverseProxy> {
    const [found] = await findPrograms([NGINX]);
    if (found?.kind !== 'commands') throw new Error('nginx must be a command of this machine');
    const folder = mkdtempSync(join(tmpdir(), 'comfyfleet-proxy-'));
    const file = join(folder, 'nginx.conf');
    writeFileSync(file, mapped(readFileSync(CONFIG, 'utf8'), port, here));
    // one process, which leaves none behind however it ends
    const globals = `daemon off; master_process off; pid ${folder}/pid;`;
    const args = ['-p', folder, '-e', 'stderr', '-c', file, '-g', globals];
    const process = new ServerProcess({ command: found.paths.nginx ?? '', args, folder });
    return new ReverseProxy(process, `http://127.0.0.1:${port}`, folder);
  }

  answers(): Promise<boolean> {
    return fetch(`${this.url}/proxy-health`, { signal: AbortSignal.timeout(1000) }).then(
      ({ ok }) => ok,
      () => false,
    );
  }

  log(): Promise<string> {
    return readFile(this.#log, 'utf8');
  }
}

/** Old versions cannot follow a name, and there are no names here; a user who is not root has no place for its files. */
function mapped(text: string, port: number, here: (place: string) => string): string {
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return text
    .replace(/server ([\w-]+:\d+) resolve /g, (_all, place: string) => `server ${here(place)} `)
    .replace('listen 8080', `listen 127.0.0.1:${port}`)
    .replace('http {', `http {\n${kinds.map((kind) => `  ${kind}_temp_path ${kind};`).join('\n')}`);
}
