/** An nginx before instances, as operators put one there: TLS by a CA of its own, a path for each instance, a password. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { freePort } from '../../chaos/ports.ts';
import { findPrograms } from './services/programs.ts';
import { Server } from './services/server.ts';
import { ServerProcess } from './services/server-process.ts';
import { NGINX, OPENSSL } from './services/wanted.ts';

export interface Guarded {
  /** Path to the instance that it stands for; every other path leads nowhere, and /moved somewhere else. */
  readonly paths: Readonly<Record<string, string>>;
  readonly user: string;
  readonly password: string;
}

export class GuardedProxy extends Server {
  /** https://localhost:port; its certificate is for localhost alone. */
  readonly url: string;
  /** File with the certificate of the CA. */
  readonly ca: string;
  readonly #port: number;

  private constructor(process: ServerProcess, port: number, ca: string) {
    super(process);
    this.#port = port;
    this.url = `https://localhost:${port}`;
    this.ca = ca;
  }

  /** Of a test: it ends when that is finished. */
  static async start(guarded: Guarded): Promise<GuardedProxy> {
    const [nginx, openssl] = await findPrograms([NGINX, OPENSSL]);
    if (nginx?.kind !== 'commands' || openssl?.kind !== 'commands')
      throw new Error('nginx and openssl must be commands');
    const folder = mkdtempSync(join(tmpdir(), 'comfyfleet-guarded-'));
    const port = await freePort();
    const ca = makeCertificates(openssl.paths.openssl ?? '', folder);
    writeFileSync(join(folder, 'users'), `${guarded.user}:{SHA}${sha1(guarded.password)}\n`);
    writeFileSync(join(folder, 'nginx.conf'), configuration(port, guarded));
    const globals = `daemon off; master_process off; pid ${folder}/pid;`;
    const args = ['-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf'), '-g', globals];
    const process = new ServerProcess({ command: nginx.paths.nginx ?? '', args, folder });
    const proxy = new GuardedProxy(process, port, ca);
    onTestFinished(() => proxy.dispose());
    await proxy.start();
    return proxy;
  }

  answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.#port, '127.0.0.1');
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
  }
}

const sha1 = (text: string): string => createHash('sha1').update(text).digest('base64');

/** A CA, and by it a certificate for localhost, valid for two days. The file of the CA's certificate. */
function makeCertificates(command: string, folder: string): string {
  const openssl = (...args: string[]): void => {
    execFileSync(command, args, { cwd: folder, stdio: 'pipe' });
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-subj',
    '/CN=fleet CA',
    '-days',
    '2',
  );
  openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
  writeFileSync(join(folder, 'names'), 'subjectAltName=DNS:localhost\n');
  const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
  openssl(
    'x509',
    '-req',
    '-in',
    'server.csr',
    ...by,
    '-out',
    'server.pem',
    '-days',
    '2',
    '-extfile',
    'names',
  );
  return join(folder, 'ca.pem');
}

function configuration(port: number, { paths }: Guarded): string {
  const locations = Object.entries(paths).map(
    ([path, url]) => `location ${path}/ {
      auth_basic "instances";
      auth_basic_user_file users;
      proxy_pass ${url}/;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_header;
    }`,
  );
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `events {}
http {
  access_log off;
  ${kinds.map((kind) => `${kind}_temp_path ${kind};`).join(' ')}
  map $http_upgrade $connection_header { default upgrade; '' ''; }
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate server.pem;
    ssl_certificate_key server.key;
    client_max_body_size 0;
    proxy_http_version 1.1;
    location / { return 404; }
    location /moved/ { return 302 https://localhost:${port}/elsewhere/; }
    ${locations.join('\n    ')}
  }
}
`;
}
