import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockDataDir } from '../../src/store/data-lock.ts';

describe('lockDataDir', () => {
  let dataDir: string;
  let holder: ChildProcess | undefined;

  beforeEach(async () => {
    dataDir = join(await mkdtemp(join(tmpdir(), 'comfyfleet-lock-')), 'made', 'by', 'it');
  });
  afterEach(async () => {
    if (holder && holder.exitCode === null && holder.signalCode === null) {
      holder.kill('SIGKILL');
      await once(holder, 'exit');
    }
    holder = undefined;
    await rm(join(dataDir, '..', '..', '..'), { recursive: true, force: true });
  });

  async function lockInAnotherProcess(): Promise<ChildProcess> {
    const script = fileURLToPath(new URL('data-lock-holder.ts', import.meta.url));
    const child = spawn(process.execPath, ['--import', 'tsx', script, dataDir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    holder = child;
    await once(child.stdout, 'data');
    return child;
  }

  it('refuses a folder that another process has, naming that process', async () => {
    const { pid } = await lockInAnotherProcess();
    expect(() => lockDataDir(dataDir)).toThrow(`in use by process ${pid}`);
  });

  it('takes over from a process that was killed', async () => {
    const child = await lockInAnotherProcess();
    child.kill('SIGKILL');
    await once(child, 'exit');
    lockDataDir(dataDir).release();
  });

  it('refuses a second lock in the same process until the first is released', () => {
    const first = lockDataDir(dataDir);
    expect(() => lockDataDir(dataDir)).toThrow(`in use by process ${process.pid}`);
    first.release();
    first.release();
    lockDataDir(dataDir).release();
  });
});
