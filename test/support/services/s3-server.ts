/**
 * An S3 server of a test's own: OpenStack Swift, which is kept up by others and shares no code with us, as Debian packages
 * it. It may be stopped, killed and paused.
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../../chaos/ports.ts';
import { findPrograms } from './programs.ts';
import { Server } from './server.ts';
import { ServerProcess } from './server-process.ts';
import { SWIFT } from './wanted.ts';

const SCRIPT = fileURLToPath(new URL('./swift-server.py', import.meta.url));

/** What a gateway's environment needs beside STORAGE_URL. */
export const S3_CREDENTIALS = {
  AWS_ACCESS_KEY_ID: 'test:tester',
  AWS_SECRET_ACCESS_KEY: 'testing',
} as const;

export class S3Server extends Server {
  readonly url: string;

  private constructor(daemon: ServerProcess, port: number) {
    super(daemon);
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Not started yet. @throws when there is no Swift and none can be had. */
  static async create(): Promise<S3Server> {
    await findPrograms([SWIFT]);
    const port = await freePort();
    const folder = await mkdtemp(join(tmpdir(), 'comfyfleet-s3-'));
    // Swift is a library of the system's Python, which need not be the first on PATH
    const args = [SCRIPT, join(folder, 'swift'), String(port)];
    return new S3Server(new ServerProcess({ command: '/usr/bin/python3', args, folder }), port);
  }

  /** STORAGE_URL of a bucket, which is made when a gateway first uses it; 3 to 63 small letters and digits. */
  storageUrl(bucket: string, path = ''): string {
    const query = new URLSearchParams({ endpoint: this.url, 'create-bucket': 'true' });
    return `s3://${bucket}${path}?${query}`;
  }

  async answers(): Promise<boolean> {
    return fetch(`${this.url}/healthcheck`, { signal: AbortSignal.timeout(1000) }).then(
      ({ ok }) => ok,
      () => false,
    );
  }
}
