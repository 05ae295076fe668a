/** The log of a gateway as a process: what it says last is in the files also when it dies. */
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { runMain } from '../support/gateway-process.ts';

/** Runs until it ends; `at` is told of each line. Answers how it ended and what it wrote. */
async function run(env: Record<string, string>, at: (line: string, pid: number) => void = () => undefined) {
  const folder = await mkdtemp(join(tmpdir(), 'comfyfleet-log-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const logDir = join(folder, 'logs');
  const child = runMain(['serve'], {
    PORT: '0',
    DATA_DIR: folder,
    LOG_DIR: logDir,
    COMFYUI_INSTANCES: '',
    ...env,
  });
  const errors: Buffer[] = [];
  child.stderr?.on('data', (chunk: Buffer) => errors.push(chunk));
  const exited = once(child, 'exit');
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout as Readable })) {
    lines.push(line);
    at(line, child.pid ?? 0);
  }
  const [code] = await exited;
  const combined = await readFile(join(logDir, 'combined.log'), 'utf8').catch(() => '');
  const error = await readFile(join(logDir, 'error.log'), 'utf8').catch(() => '');
  return { code, lines, combined, error, stderr: Buffer.concat(errors).toString() };
}

const whenServing = (signal: NodeJS.Signals) => (line: string, pid: number) => {
  if (line.includes('is serving')) process.kill(pid, signal);
};
/** SIGUSR2 makes the process run the code. */
const onSignal = (code: string) => ({
  BOOM: 'lost redis://u:hush@h/0',
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(`process.on('SIGUSR2',()=>{${code}})`)}`,
});
const last = (text: string): Record<string, unknown> => JSON.parse(text.trimEnd().split('\n').at(-1) ?? '');

describe('a gateway that is asked to stop', () => {
  it('has its last words in the file', async () => {
    const { code, combined, lines } = await run({}, whenServing('SIGTERM'));
    expect(code).toBe(0);
    expect(last(combined)).toMatchObject({ msg: 'comfyfleet has stopped' });
    expect(combined.trimEnd().split('\n')).toEqual(lines);
  }, 60_000);
});

describe('a gateway that meets an error of its own', () => {
  it.each([
    ['an exception', 'throw new Error(process.env.BOOM)', 'an error that nobody caught: the process ends'],
    [
      'a rejection',
      'Promise.reject(new Error(process.env.BOOM))',
      'a promise that nobody caught: the process ends',
    ],
  ])(
    'says what, without the password in it, and ends with 1: %s',
    async (_what, code, msg) => {
      const ended = await run(onSignal(code), whenServing('SIGUSR2'));
      expect(ended.code).toBe(1);
      const fatal = { level: 60, msg, err: { type: 'Error', message: 'lost redis://h/0' } };
      for (const text of [ended.combined, ended.error, ended.lines.join('\n')])
        expect(last(text)).toMatchObject(fatal);
      expect(JSON.stringify(ended)).not.toContain('hush');
    },
    60_000,
  );
});

describe('a gateway that cannot start', () => {
  it('says why on stderr and in the log, without the password in it', async () => {
    const ended = await run({ STORAGE_URL: 's3://nobody:hush@127.0.0.1:1/bucket' });
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/^comfyfleet: .+\n$/);
    expect(last(ended.error)).toMatchObject({ level: 60, msg: 'comfyfleet could not go on' });
    expect(JSON.stringify(ended)).not.toContain('hush');
  }, 60_000);
});
