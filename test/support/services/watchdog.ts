/**
 * Ends what a process started when that process dies without a word, even by kill -9: a shell waits for the end of a pipe
 * that only its parent holds open.
 */
import { spawn } from 'node:child_process';

export interface Watchdog {
  /** There is nothing left to watch. */
  dismiss(): void;
}

/** `command` runs in a shell, with the arguments as $1, $2 and so on, when this process has gone. */
export function watch(command: string, args: readonly string[]): Watchdog {
  const child = spawn('sh', ['-c', `read -r _; ${command}`, 'watchdog', ...args], {
    // In a group of its own, so that Ctrl-C at a terminal does not end it before it has done its work.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.unref();
  (child.stdin as unknown as { unref(): void }).unref();
  return { dismiss: () => void child.kill('SIGKILL') };
}
