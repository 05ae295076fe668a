/** A server as a process of this machine, which ends with the process that started it, however that ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Daemon } from './daemon.ts';
import type { Owner } from './owner.ts';
import { type Watchdog, watch } from './watchdog.ts';

export interface ServerProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Holds everything it writes, and its log; goes with it. */
  readonly folder: string;
  /** Default: who runs the tests. */
  readonly owner?: Owner | undefined;
  readonly env?: Readonly<Record<string, string>>;
}

export class ServerProcess implements Daemon {
  readonly #options: ServerProcessOptions;
  readonly #log: string;
  #child: ChildProcess | undefined;

  constructor(options: ServerProcessOptions) {
    this.#options = options;
    this.#log = join(options.folder, 'server.log');
  }

  get pid(): number | undefined {
    return this.#alive() ? this.#child?.pid : undefined;
  }

  async launch(): Promise<void> {
    if (this.#alive()) throw new Error('it runs already');
    const { command, args, folder, owner, env } = this.#options;
    const log = openSync(this.#log, 'a');
    const child = spawn(command, args, {
      cwd: folder,
      env: { PATH: process.env.PATH, LC_ALL: 'C', ...env },
      stdio: ['ignore', log, log],
      detached: true,
      ...(owner ? { uid: owner.uid, gid: owner.gid } : {}),
    });
    closeSync(log);
    await once(child, 'spawn');
    this.#child = child;
    const watchdog: Watchdog = watch('kill -KILL "$1"; sleep 1; rm -rf "$2"', [String(child.pid), folder]);
    child.once('exit', () => watchdog.dismiss());
    child.unref();
  }

  async signal(name: NodeJS.Signals): Promise<void> {
    if (this.#alive()) this.#child?.kill(name);
  }

  async freeze(): Promise<void> {
    this.#signalAll('SIGSTOP');
  }

  async thaw(): Promise<void> {
    this.#signalAll('SIGCONT');
  }

  async running(): Promise<boolean> {
    return this.#alive();
  }

  async ended(): Promise<void> {
    if (!this.#child || !this.#alive()) return;
    // it does not keep its parent alive, unless that waits for its end
    this.#child.ref();
    await once(this.#child, 'exit');
  }

  async lastWords(): Promise<string> {
    return (await readFile(this.#log, 'utf8').catch(() => '')).slice(-3000);
  }

  async dispose(): Promise<void> {
    await this.signal('SIGKILL');
    await this.ended();
    await rm(this.#options.folder, { recursive: true, force: true, maxRetries: 10 });
  }

  #alive(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Its own processes too: Postgres gives each connection one, in a session of its own. */
  #signalAll(name: NodeJS.Signals): void {
    const { pid } = this;
    if (pid === undefined) return;
    for (const one of [pid, ...childrenOf(pid)]) process.kill(one, name);
  }
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === parent);
}

function parentOf(pid: number): number | undefined {
  try {
    // pid (command) state parent ...; the command may hold spaces and brackets
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return Number(fields[1]);
  } catch {
    return undefined;
  }
}
