/** Chooses the database by its URL. The one place that knows which engine answers; queries are the same on all. */
import { join } from 'node:path';
import { type Dialect, SqliteDialect } from 'kysely';
import { LibsqlDatabase, type Synchronous } from './sqlite-database.ts';

export interface DialectOptions {
  /** Undefined: SQLite under `dataDir`. */
  readonly url?: string | undefined;
  readonly dataDir: string;
  readonly synchronous: Synchronous;
  /** Hear the text of every statement; may change at any time. */
  readonly listeners: ReadonlySet<(sql: string) => void>;
}

/** Throws when no engine serves the URL. */
export function createDialect(options: DialectOptions): Dialect {
  const { url, dataDir, synchronous, listeners } = options;
  if (url !== undefined && url !== '') throw new Error(refusal(url));
  return new SqliteDialect({
    database: async () => new LibsqlDatabase(join(dataDir, 'comfyfleet.db'), synchronous, listeners),
  });
}

/** Names the scheme only: a database URL carries a password. */
function refusal(url: string): string {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  if (scheme === 'postgres' || scheme === 'postgresql') {
    return 'DATABASE_URL names Postgres, which this version does not support yet; leave it empty for the embedded SQLite under DATA_DIR';
  }
  return `DATABASE_URL has an unknown scheme${scheme ? ` "${scheme}"` : ''}; leave it empty for the embedded SQLite under DATA_DIR`;
}
