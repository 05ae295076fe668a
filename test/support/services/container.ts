/** A server in a container of Docker, for machines that have an engine and not the program. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import type { Daemon } from './daemon.ts';
import { type Watchdog, watch } from './watchdog.ts';

const run = promisify(execFile);

/** Whether an engine answers within five seconds. */
export async function dockerAnswers(): Promise<boolean> {
  try {
    await run('docker', ['info'], { timeout: 5000 });
    return true;
  } catch {
    return false;
  }
}

export interface ContainerOptions {
  readonly image: string;
  /** Of this machine, and what it is inside. */
  readonly port: number;
  readonly innerPort: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly command: readonly string[];
}

export class Container implements Daemon {
  readonly #options: ContainerOptions;
  readonly #name = `comfyfleet-test-${randomBytes(6).toString('hex')}`;
  #watchdog: Watchdog | undefined;

  constructor(options: ContainerOptions) {
    this.#options = options;
  }

  async launch(): Promise<void> {
    if (this.#watchdog) {
      await run('docker', ['start', this.#name]);
      return;
    }
    const { image, port, innerPort, env = {}, command } = this.#options;
    this.#watchdog = watch('docker rm -f -v "$1"', [this.#name]);
    await run('docker', [
      ...['run', '-d', '--name', this.#name, '-p', `127.0.0.1:${port}:${innerPort}`],
      ...Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`]),
      ...[image, ...command],
    ]);
  }

  async signal(name: NodeJS.Signals): Promise<void> {
    if (await this.running()) await run('docker', ['kill', `--signal=${name}`, this.#name]);
  }

  async freeze(): Promise<void> {
    await run('docker', ['pause', this.#name]);
  }

  async thaw(): Promise<void> {
    await run('docker', ['unpause', this.#name]);
  }

  async running(): Promise<boolean> {
    const { stdout } = await run('docker', ['inspect', '-f', '{{.State.Running}}', this.#name]);
    return stdout.trim() === 'true';
  }

  async ended(): Promise<void> {
    await run('docker', ['wait', this.#name]);
  }

  async lastWords(): Promise<string> {
    const { stdout, stderr } = await run('docker', ['logs', '--tail', '40', this.#name]);
    return stdout + stderr;
  }

  async dispose(): Promise<void> {
    if (!this.#watchdog) return;
    await run('docker', ['rm', '-f', '-v', this.#name]);
    this.#watchdog.dismiss();
  }
}
