/** The gateway as an OS process of its own, as an operator runs it; for tests of signals, crashes and restarts. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface GatewayProcess {
  readonly url: string;
  /** Whoever reads its log goes away, as `| jq` does when Ctrl-C ends both. */
  stopReading(): void;
  /** Stops its time, or lets it go on: a signal that does not end it. */
  send(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** Sends the signal; resolves with the exit code, or the name of the signal that ended it. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | NodeJS.Signals>;
}

/** Runs src/main.ts with the arguments; ended with the test at the latest, or when `atEnd` says so. */
export function runMain(
  args: readonly string[],
  env: Record<string, string>,
  atEnd: (end: () => Promise<void>) => void = onTestFinished,
): ChildProcess {
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN, ...args], {
    cwd: ROOT,
    // The servers that tests run with are for those who ask for them.
    env: { ...process.env, DATABASE_URL: '', REDIS_URL: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  atEnd(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exited;
  });
  return child;
}

/** Resolves when it serves. @throws with its error output when it ends before. */
export async function startGatewayProcess(
  dataDir: string,
  instances: readonly string[],
  env: Record<string, string> = {},
  atEnd?: (end: () => Promise<void>) => void,
): Promise<GatewayProcess> {
  const settings = {
    PORT: '0',
    DATA_DIR: dataDir,
    COMFYUI_INSTANCES: instances.join(','),
    DATABASE_SYNCHRONOUS: 'NORMAL',
    PROBE_INTERVAL_MS: '200',
    RECONCILE_INTERVAL_MS: '500',
    LOG_LEVEL: 'info',
    ...env,
  };
  const child = runMain(['serve'], settings, atEnd);
  const url = await servingAt(child);
  return {
    url,
    stopReading() {
      child.stdout?.destroy();
      child.stderr?.destroy();
    },
    send: (signal) => void child.kill(signal),
    async end(signal) {
      const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
      child.kill(signal);
      const [code, by] = await exited;
      return code ?? by ?? 'SIGKILL';
    },
  };
}

async function servingAt(child: ChildProcess): Promise<string> {
  const { stdout, stderr } = child;
  if (!stdout || !stderr) throw new Error('the output of the process is not readable');
  const said: string[] = [];
  stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  for await (const line of createInterface({ input: stdout })) {
    said.push(line);
    const url = /"url":"(http:[^"]+)".*is serving/.exec(line)?.[1];
    if (!url) continue;
    stdout.resume();
    return url;
  }
  throw new Error(`the gateway ended before it served:\n${said.join('\n')}`);
}
