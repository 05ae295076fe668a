/**
 * The demo's GPU-less fleet: simulated ComfyUI instances, each an OS process of its own, as a real fleet would be.
 * This file owns the child processes and ends each by its own handle.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Service } from '../lib/service.ts';

export interface DemoFleetOptions {
  readonly size: number;
  /** The program that `simulate` is a command of: the entry file, as this process was started with. */
  readonly entry: string;
  /** Arguments of `simulate` besides the port. */
  readonly simulateArguments: readonly string[];
}

/** Starts `size` simulators on free ports; `urls` is known once `start` has resolved. */
export class DemoFleet implements Service {
  readonly #options: DemoFleetOptions;
  #children: ChildProcess[] = [];
  urls: readonly string[] = [];

  constructor(options: DemoFleetOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    this.urls = await Promise.all(Array.from({ length: this.#options.size }, () => this.#spawnOne()));
  }

  async stop(): Promise<void> {
    const children = this.#children;
    this.#children = [];
    await Promise.all(children.map(endProcess));
  }

  async #spawnOne(): Promise<string> {
    const { entry, simulateArguments } = this.#options;
    const args = [...process.execArgv, entry, 'simulate', '--port', '0', ...simulateArguments];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#children.push(child);
    const lines = createInterface({ input: child.stdout });
    for await (const line of lines) {
      const url = /http:\/\/\S+/.exec(line)?.[0];
      if (!url) continue;
      child.stdout.resume();
      return url;
    }
    throw new Error('a simulated instance ended before it was ready');
  }
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const impatience = setTimeout(() => child.kill('SIGKILL'), 3000);
  await ended;
  clearTimeout(impatience);
}
