/**
 * Keeps two processes from sharing one data folder by accident. The lock is one that the operating system holds on an
 * empty SQLite file and gives back when the process ends, however it ends: there is no stale lock to judge. A file
 * beside it names the owner, for the error message only.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'libsql';

export interface DataLock {
  /** Gives the folder free; twice is fine. */
  release(): void;
}

/** Takes the folder (made when absent) or throws an error that names the process which has it. */
export function lockDataDir(dataDir: string): DataLock {
  mkdirSync(dataDir, { recursive: true });
  const ownerFile = join(dataDir, 'comfyfleet.pid');
  const lock = new Database(join(dataDir, 'comfyfleet.lock'), { timeout: 0 });
  try {
    lock.exec('begin exclusive');
  } catch (error) {
    lock.close();
    if ((error as { code?: string }).code !== 'SQLITE_BUSY') throw error;
    throw new Error(
      `the data folder ${dataDir} is in use by process ${ownerOf(ownerFile)}; stop it or set another DATA_DIR`,
    );
  }
  writeFileSync(ownerFile, `${process.pid}\n`);
  let held = true;
  return {
    release() {
      if (!held) return;
      held = false;
      rmSync(ownerFile, { force: true });
      lock.close();
    },
  };
}

function ownerOf(ownerFile: string): string {
  try {
    return readFileSync(ownerFile, 'utf8').trim() || 'unknown';
  } catch {
    return 'unknown';
  }
}
