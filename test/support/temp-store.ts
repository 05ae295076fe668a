/** A real store in a folder of its own, for tests: nothing of it is left after close(). */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '../../src/lib/logger.ts';
import { openStore, type Store } from '../../src/store/open.ts';

export interface TempStore {
  readonly store: Store;
  readonly dataDir: string;
  close(): Promise<void>;
}

/** Tests survive no power cut, so commits are not synced to disk one by one. */
export async function openTempStore(): Promise<TempStore> {
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-store-'));
  const store = await openStore({ dataDir, logger: createLogger('silent'), synchronous: 'NORMAL' });
  return {
    store,
    dataDir,
    async close() {
      await store.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
