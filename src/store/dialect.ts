/** Chooses the database by its URL. The one place that knows which engine answers; queries are the same on all. */
import { join } from 'node:path';
import {
  type Dialect,
  type DialectAdapter,
  type Kysely,
  PostgresDialect,
  SqliteAdapter,
  SqliteDialect,
  sql,
} from 'kysely';
import type { Logger } from '../lib/logger.ts';
import { createPostgresPool, PATIENT_STATEMENT_MS } from './postgres-pool.ts';
import { LibsqlDatabase, type Synchronous } from './sqlite-database.ts';

export interface DialectOptions {
  /** Undefined: SQLite under `dataDir`. */
  readonly url?: string | undefined;
  readonly dataDir: string;
  readonly synchronous: Synchronous;
  /** Connections to Postgres at most. */
  readonly poolMax: number;
  readonly logger: Logger;
  /** Hear the text of every statement; may change at any time. */
  readonly listeners: ReadonlySet<(sql: string) => void>;
}

export interface Engine {
  /** Its data lies in the data folder, which one process owns; else several processes share it. */
  readonly embedded: boolean;
  readonly dialect: Dialect;
  /** The same database over a few connections of its own; null where there is only one connection. */
  readonly vital: Dialect | null;
  /** The same database for changes of its tables, which may take their time; null where nothing hurries anyway. */
  readonly patient: Dialect | null;
  /** Runs a transaction that reaches the disk with the next synced one, or later: a power cut may undo it, a crash not. */
  relaxed<S, T>(db: Kysely<S>, work: (tx: Kysely<S>) => Promise<T>): Promise<T>;
}

/** Throws when no engine serves the URL. */
export function createEngine(options: DialectOptions): Engine {
  const { url } = options;
  if (url === undefined || url === '') return sqliteEngine(options);
  if (/^postgres(ql)?:/i.test(url)) return postgresEngine({ ...options, url });
  throw new Error(refusal(url));
}

/** One may hang while the other is tried. */
const VITAL_CONNECTIONS = 2;

function postgresEngine({ url, poolMax, listeners, logger }: DialectOptions & { url: string }): Engine {
  const connections = (max: number, statementMs?: number): Dialect => {
    const options = { url, max, listeners, logger, ...(statementMs && { statementMs }) };
    return new PostgresDialect({ pool: async () => createPostgresPool(options) });
  };
  return {
    embedded: false,
    dialect: connections(poolMax),
    vital: connections(VITAL_CONNECTIONS),
    patient: connections(2, PATIENT_STATEMENT_MS),
    relaxed: (db, work) =>
      db.transaction().execute(async (tx) => {
        await sql`set local synchronous_commit = off`.execute(tx);
        return work(tx);
      }),
  };
}

function sqliteEngine({ dataDir, synchronous, listeners }: DialectOptions): Engine {
  let database: LibsqlDatabase | undefined;
  const open = async (): Promise<LibsqlDatabase> => {
    database = new LibsqlDatabase(join(dataDir, 'comfyfleet.db'), synchronous, listeners);
    return database;
  };
  return {
    embedded: true,
    vital: null,
    patient: null,
    dialect: new MigratingDialect({ database: open }),
    // The connection is held around the switch, so that no other transaction runs with the laxer setting.
    relaxed: (db, work) =>
      db.connection().execute(async (held) => {
        database?.setSynchronous('NORMAL');
        try {
          return await held.transaction().execute(work);
        } finally {
          database?.setSynchronous(synchronous);
        }
      }),
  };
}

/** SQLite undoes changes of tables too: a process that dies while it migrates leaves no half-made ones behind. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

class MigratingDialect extends SqliteDialect {
  override createAdapter(): DialectAdapter {
    return new TransactionalAdapter();
  }
}

/** Names the scheme only: a database URL carries a password. */
function refusal(url: string): string {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  return `DATABASE_URL has an unknown scheme${scheme ? ` "${scheme}"` : ''}; give a postgres:// URL, or leave it empty for the embedded SQLite under DATA_DIR`;
}
