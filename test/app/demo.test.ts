/** The demo, as a person runs it: exit code 0 means that every picture was opened again and is right. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { runMain } from '../support/gateway-process.ts';

async function run(...flags: string[]): Promise<{ code: number | null; said: string; folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'comfyfleet-demo-results-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const child = runMain(['demo', '--once', '--folder', folder, ...flags], { PORT: '0', LOG_LEVEL: 'warn' });
  const said = everythingSaidBy(child);
  const [code] = (await once(child, 'exit')) as [number | null];
  return { code, said: said.join(''), folder };
}

function everythingSaidBy({ stdout, stderr }: ChildProcess): string[] {
  const said: string[] = [];
  for (const stream of [stdout, stderr]) stream?.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  return said;
}

describe('demo --once', () => {
  it.each([
    ['runs 15 jobs to their end and saves their pictures', []],
    ['does the same when every instance refuses its WebSocket', ['--refuse-websockets']],
  ])(
    '%s',
    async (_what, flags) => {
      const { code, said, folder } = await run(...flags);
      expect(said).toContain('15 of 15 jobs completed');
      expect(said).not.toContain('PROBLEM');
      expect(code).toBe(0);
      expect(await readdir(folder)).toHaveLength(15);
    },
    90_000,
  );
});
