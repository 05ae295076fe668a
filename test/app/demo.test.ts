/** The demo, as a person runs it: exit code 0 means that every picture was opened again and is right. */
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runMain } from '../support/gateway-process.ts';

const FLAGS = {
  'runs 15 jobs to their end and saves their pictures': [],
  'does the same when every instance refuses its WebSocket': ['--refuse-websockets'],
} as const;

interface Ended {
  readonly code: number | null;
  readonly said: string;
  readonly saved: readonly string[];
  /** In its folder for logs. */
  readonly logged: string;
}

/** Side by side, since most of their time is that of the simulated GPUs. */
const runs = new Map<string, Promise<Ended>>();

beforeAll(() => {
  for (const [title, flags] of Object.entries(FLAGS)) runs.set(title, run(flags));
});

async function run(flags: readonly string[]): Promise<Ended> {
  const folder = await mkdtemp(join(tmpdir(), 'comfyfleet-demo-results-'));
  const logs = await mkdtemp(join(tmpdir(), 'comfyfleet-demo-logs-'));
  const env = { PORT: '0', LOG_LEVEL: 'info', LOG_DIR: logs };
  const child = runMain(['demo', '--once', '--folder', folder, ...flags], env, (end) => ends.push(end));
  for (const made of [folder, logs]) ends.push(() => rm(made, { recursive: true, force: true }));
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  }
  const [code] = (await once(child, 'exit')) as [number | null];
  const logged = await readFile(join(logs, 'combined.log'), 'utf8');
  return { code, said: said.join(''), saved: await readdir(folder), logged };
}

const ends: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const end of ends) await end();
});

describe('demo --once', () => {
  it.each(Object.keys(FLAGS))('%s', { timeout: 120_000 }, async (title) => {
    const ended = await runs.get(title);
    expect(ended?.said).toContain('15 of 15 jobs completed');
    expect(ended?.said).not.toContain('PROBLEM');
    expect(ended?.code).toBe(0);
    expect(ended?.saved).toHaveLength(15);
    // to its last line
    expect(ended?.logged.match(/an attempt succeeded/g)).toHaveLength(15);
    expect(ended?.logged).toMatch(/"msg":"stopped listening"}\n/);
  });
});
