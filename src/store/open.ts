/** Opens the store: takes the data folder where the data lies in it, connects, migrates. After it resolves every query can run. */
import { type Dialect, Kysely, sql } from 'kysely';
import { type Clock, pause, systemClock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { Service } from '../lib/service.ts';
import { type DataLock, lockDataDir } from './data-lock.ts';
import { createEngine, type Engine } from './dialect.ts';
import { Inventories } from './inventories.ts';
import { migrate } from './migrate.ts';
import { reachDatabase } from './reach-database.ts';
import { repeatConflicts } from './repeat-conflicts.ts';
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
  /** For the waiting of the store itself; rows never see it. Default: the system's. */
  readonly clock?: Clock | undefined;
  /** Spreads what is tried again; answers numbers in [0, 1). */
  readonly random?: (() => number) | undefined;
  /** Ends the waiting for a database that does not answer yet; opening then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface Store extends Service {
  readonly db: Db;
  /** The same data over connections of its own: for the lease, which must be renewed however many others wait for one. */
  readonly vital: Db;
  /** What instances have, each list once in this process. */
  readonly inventories: Inventories;
  /**
   * Commits what `work` did when it resolves, undoes it when it rejects. Inside, use only the given `tx`: SQLite has one
   * connection, so a query on `db` would wait for the transaction that waits for it. And await nothing but queries. It is
   * called again when the database undid it because another transaction was in the way.
   */
  transaction<T>(work: (tx: Db) => Promise<T>): Promise<T>;
  /**
   * The same, but a power cut may undo it, and so may a crash of a database server (a crash of the process cannot): for what
   * would be found out again anyway. Several times faster, because it does not wait for the disk.
   */
  relaxed<T>(work: (tx: Db) => Promise<T>): Promise<T>;
  /**
   * Relaxed where the store goes down with this process only, so that whoever comes next finds it out again; a transaction
   * where a database server can crash while this process goes on and relies on what it wrote.
   */
  relaxedAlone<T>(work: (tx: Db) => Promise<T>): Promise<T>;
  /** Hears the text of every statement, for tests and traces; returns the way to stop. */
  onQuery(listener: (sql: string) => void): () => void;
  /** A query gets through; answers within two seconds, whatever the database does. */
  healthy(): Promise<boolean>;
}

const HEALTHY_WITHIN_MS = 2000;

/**
 * A database that cannot be reached yet is waited for, a minute at most. Throws when it stays away or refuses us, when the
 * folder is taken, the URL is not served or a migration fails; nothing stays open then.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { url, dataDir, synchronous = 'FULL', poolMax = 10, logger } = options;
  const { clock = systemClock, random = Math.random, signal } = options;
  const listeners = new Set<(sql: string) => void>();
  const engine = createEngine({ url, dataDir, synchronous, poolMax, listeners, logger });
  const lock = engine.embedded ? lockDataDir(dataDir) : null;
  const db = new Kysely<Tables>({ dialect: engine.dialect });
  try {
    if (!engine.patient || !url) await migrate(db, logger);
    else {
      const patient = engine.patient;
      await reachDatabase({ url, clock, logger, signal }, async () => {
        // in a hurry first: a database that does not answer is not waited for with patience
        await sql`select 1`.execute(db);
        await migratePatiently(patient, logger);
      });
    }
    // The folder is ours alone: whoever held a lease in it is gone.
    if (lock) await db.updateTable('leases').set({ expires_at: 0 }).execute();
  } catch (error) {
    await db.destroy().catch(() => undefined);
    lock?.release();
    throw error;
  }
  const vital = engine.vital ? new Kysely<Tables>({ dialect: engine.vital }) : db;
  return storeOn({ db, vital, engine, lock, listeners, clock, random });
}

async function migratePatiently(dialect: Dialect, logger: Logger): Promise<void> {
  const db = new Kysely<Tables>({ dialect });
  try {
    await migrate(db, logger);
  } finally {
    await db.destroy();
  }
}

interface Opened {
  readonly db: Db;
  readonly vital: Db;
  readonly engine: Engine;
  readonly lock: DataLock | null;
  readonly listeners: Set<(sql: string) => void>;
  readonly clock: Clock;
  readonly random: () => number;
}

function storeOn({ db, vital, engine, lock, listeners, clock, random }: Opened): Store {
  let open = true;
  const transaction: Store['transaction'] = (work) =>
    repeatConflicts({ clock, random }, () => db.transaction().execute(work));
  const relaxed: Store['relaxed'] = (work) =>
    repeatConflicts({ clock, random }, () => engine.relaxed(db, work));
  const answers = inTime(clock, () => vital.selectFrom('settings').select('name').limit(1).execute());
  return {
    db,
    vital,
    inventories: new Inventories(db),
    transaction,
    relaxed,
    relaxedAlone: engine.embedded ? relaxed : transaction,
    onQuery(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    healthy: async () => open && (await answers()),
    async start() {
      // Opened by openStore: a store that exists is migrated.
    },
    async stop() {
      if (!open) return;
      open = false;
      await Promise.all([db.destroy(), vital === db ? undefined : vital.destroy()]);
      lock?.release();
    },
  };
}

/** One query for all who ask at the same time: where none is answered, they must not use up the connections. */
function inTime(clock: Clock, query: () => Promise<unknown>): () => Promise<boolean> {
  let asking: Promise<boolean> | undefined;
  return async () => {
    asking ??= query()
      .then(
        () => true,
        () => false,
      )
      .finally(() => {
        asking = undefined;
      });
    const answered = new AbortController();
    const answer = asking.finally(() => answered.abort('answered'));
    return (await pause(clock, HEALTHY_WITHIN_MS, answered.signal)) ? false : answer;
  };
}
