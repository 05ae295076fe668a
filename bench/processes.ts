/** The programs under measurement, each a process of its own on a free port; started and ended here by handle. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

export interface Program {
  readonly url: string;
  stop(): Promise<void>;
}

/** Whoever measures may have a database for tests in the environment: the programs use what they are given only. */
const EMBEDDED = { DATABASE_URL: '', REDIS_URL: '', STORAGE_URL: '' };

/** Starts `comfyfleet <args>` and waits for the line that names its URL. */
export async function startProgram(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Program> {
  const child = spawn(process.execPath, [...process.execArgv, MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...EMBEDDED, ...env },
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /http:\/\/[\d.]+:\d+/.exec(line)?.[0];
    if (!url) continue;
    child.stdout.resume();
    return { url, stop: () => end(child) };
  }
  throw new Error(`comfyfleet ${args.join(' ')} ended before it was ready`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}
