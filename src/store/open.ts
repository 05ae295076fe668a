/** Opens the store: takes the data folder where the data lies in it, connects, migrates. After it resolves every query can run. */
import { Kysely } from 'kysely';
import type { Logger } from '../lib/logger.ts';
import type { Service } from '../lib/service.ts';
import { lockDataDir } from './data-lock.ts';
import { createEngine } from './dialect.ts';
import { migrate } from './migrate.ts';
import type { Tables } from './schema.ts';
import type { Synchronous } from './sqlite-database.ts';

/** Where queries run: the store itself or a transaction of it. */
export type Db = Kysely<Tables>;

export interface StoreOptions {
  /** postgres://...; undefined: the embedded SQLite under `dataDir`. */
  readonly url?: string | undefined;
  readonly dataDir: string;
  /** Default FULL: an acknowledged job survives a power cut. */
  readonly synchronous?: Synchronous | undefined;
  /** Connections to Postgres at most; default 10. */
  readonly poolMax?: number | undefined;
  readonly logger: Logger;
}

export interface Store extends Service {
  readonly db: Db;
  /**
   * Commits what `work` did when it resolves, undoes it when it rejects. Inside, use only the given `tx`: SQLite has one
   * connection, so a query on `db` would wait for the transaction that waits for it. And await nothing but queries.
   */
  transaction<T>(work: (tx: Db) => Promise<T>): Promise<T>;
  /**
   * The same, but a power cut may undo it (a crash of the process cannot): for what would be found out again anyway.
   * Several times faster, because it does not wait for the disk.
   */
  relaxed<T>(work: (tx: Db) => Promise<T>): Promise<T>;
  /** Hears the text of every statement, for tests and traces; returns the way to stop. */
  onQuery(listener: (sql: string) => void): () => void;
  /** A query gets through. */
  healthy(): Promise<boolean>;
}

/** Throws when the folder is taken, the URL is not served or a migration fails; nothing stays open then. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { url, dataDir, synchronous = 'FULL', poolMax = 10, logger } = options;
  const listeners = new Set<(sql: string) => void>();
  const engine = createEngine({ url, dataDir, synchronous, poolMax, listeners, logger });
  const lock = engine.embedded ? lockDataDir(dataDir) : null;
  const db = new Kysely<Tables>({ dialect: engine.dialect });
  try {
    await migrate(db, logger);
    // The folder is ours alone: whoever held a lease in it is gone.
    if (lock) await db.updateTable('leases').set({ expires_at: 0 }).execute();
  } catch (error) {
    await db.destroy().catch(() => undefined);
    lock?.release();
    throw error;
  }
  let open = true;
  return {
    db,
    transaction: (work) => db.transaction().execute(work),
    relaxed: (work) => engine.relaxed(db, work),
    onQuery(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async healthy() {
      if (!open) return false;
      return db
        .selectFrom('settings')
        .select('name')
        .limit(1)
        .execute()
        .then(
          () => true,
          () => false,
        );
    },
    async start() {
      // Opened by openStore: a store that exists is migrated.
    },
    async stop() {
      if (!open) return;
      open = false;
      await db.destroy();
      lock?.release();
    },
  };
}
