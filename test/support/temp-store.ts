/** A real store of its own, for tests: nothing of it is left after close(). */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '../../src/lib/logger.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { createTestDatabase } from './test-database.ts';

/** The engines a store runs on: what holds on one must hold on the other. */
export const ENGINES = ['SQLite', 'Postgres'] as const;
export type EngineName = (typeof ENGINES)[number];

export interface TempStore {
  readonly store: Store;
  readonly dataDir: string;
  /** Of its database; undefined where that lies in the data folder. */
  readonly url: string | undefined;
  close(): Promise<void>;
}

/** Tests survive no power cut, so commits are not synced to disk one by one. */
export async function openTempStore(engine: EngineName = 'SQLite'): Promise<TempStore> {
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-store-'));
  const database = engine === 'Postgres' ? await createTestDatabase() : undefined;
  const url = database?.url;
  const store = await openStore({ url, dataDir, logger: createLogger('silent'), synchronous: 'NORMAL' });
  return {
    store,
    dataDir,
    url,
    async close() {
      await store.stop();
      await database?.drop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
