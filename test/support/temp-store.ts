/** A real store of its own, for tests: nothing of it is left after close(). */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { createTestDatabase, type TestDatabase } from './test-database.ts';

/** The engines a store runs on: what holds on one must hold on the other. */
export const ENGINES = ['SQLite', 'Postgres'] as const;
export type EngineName = (typeof ENGINES)[number];

export interface TempStore {
  readonly store: Store;
  readonly dataDir: string;
  /** Of its database; undefined where that lies in the data folder. */
  readonly url: string | undefined;
  /** Another store on the same database, as another process has it; ends with this one. Postgres only. */
  openAnother(): Promise<Store>;
  close(): Promise<void>;
}

/** Empty ones with all tables, for the next test of this file: making one takes ten times as long as emptying it. */
const idle: TestDatabase[] = [];
afterAll(async () => {
  for (const database of idle.splice(0)) await database.drop();
});

/** Tests survive no power cut, so commits are not synced to disk one by one. */
export async function openTempStore(engine: EngineName = 'SQLite'): Promise<TempStore> {
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-store-'));
  const database = engine === 'Postgres' ? (idle.pop() ?? (await createTestDatabase())) : undefined;
  const url = database?.url;
  const open = (): Promise<Store> =>
    openStore({ url, dataDir, logger: createLogger('silent'), synchronous: 'NORMAL' });
  const stores = [await open()];
  return {
    store: stores[0] as Store,
    dataDir,
    url,
    async openAnother() {
      if (!database) throw new Error('an embedded store is one process’s');
      const another = await open();
      stores.push(another);
      return another;
    },
    async close() {
      for (const store of stores) await store.stop();
      if (database) {
        await database.empty();
        idle.push(database);
      }
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
