/** nginx in front of the replicas, as a deployment has it: WebSockets, unbuffered streams and uploads, kept connections. */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findPrograms } from '../../test/support/services/programs.ts';
import { ServerProcess } from '../../test/support/services/server-process.ts';
import { NGINX } from '../../test/support/services/wanted.ts';
import { answers, freePort } from '../ports.ts';

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
    await writeFile(file, configOf(port, ports));
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

function configOf(port: number, ports: readonly number[]): string {
  return `
daemon off;
user root;
worker_processes 1;
pid nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  upstream replicas {
    least_conn;
    ${ports.map((one) => `server 127.0.0.1:${one};`).join('\n    ')}
    keepalive 32;
  }
  map $http_upgrade $connection_header { default upgrade; '' ''; }
  server {
    listen 127.0.0.1:${port};
    client_max_body_size 20m;
    location / {
      proxy_pass http://replicas;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_header;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_read_timeout 300s;
      proxy_next_upstream error timeout;
    }
  }
}
`;
}
