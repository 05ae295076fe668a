/**
 * Connections to Postgres as Kysely's dialect wants them: parameters checked and mapped as for SQLite, integers and
 * averages read as numbers, every statement told to whoever counts them.
 */
import type { PostgresPool, PostgresPoolClient, PostgresQueryResult } from 'kysely';
import pg from 'pg';
import type { Logger } from '../lib/logger.ts';
import { toBound } from './parameters.ts';

const TRANSACTION_WORDS = new Set(['begin', 'commit', 'rollback']);

/** How long a query may wait for a free connection before it is refused. */
const CONNECTION_WAIT_MS = 5000;
/** A statement that takes longer, or gets no answer for as long, has failed. */
const STATEMENT_MS = 15_000;
/** A process that sleeps inside a transaction loses it, so that what it locked does not hold up others. */
const IDLE_IN_TRANSACTION_MS = 5000;

/** int8 and numeric come as text because they may not fit a number; ours do: milliseconds, bytes, counts, means of them. */
const AS_NUMBERS: ReadonlySet<number> = new Set([pg.types.builtins.INT8, pg.types.builtins.NUMERIC]);

export interface PostgresPoolOptions {
  readonly url: string;
  readonly max: number;
  readonly listeners: ReadonlySet<(sql: string) => void>;
  readonly logger: Logger;
}

export function createPostgresPool({ url, max, listeners, logger }: PostgresPoolOptions): PostgresPool {
  const pool = new pg.Pool({
    connectionString: url,
    max,
    connectionTimeoutMillis: CONNECTION_WAIT_MS,
    statement_timeout: STATEMENT_MS,
    query_timeout: STATEMENT_MS + 1000,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    keepAlive: true,
    application_name: 'comfyfleet',
    types: {
      getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
        AS_NUMBERS.has(oid) ? Number : pg.types.getTypeParser(oid, format as 'text')) as never,
    },
  });
  // A connection that breaks while nobody uses it: the next query opens another one.
  pool.on('error', (error) => logger.warn({ err: error }, 'an idle connection to the database broke'));
  return {
    connect: async () => checked(await pool.connect(), listeners),
    end: () => pool.end(),
  };
}

function checked(client: pg.PoolClient, listeners: ReadonlySet<(sql: string) => void>): PostgresPoolClient {
  const query = async <R>(sql: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>> => {
    if (listeners.size > 0 && !TRANSACTION_WORDS.has(sql)) for (const listener of listeners) listener(sql);
    const result = await client.query(sql, parameters.map(toBound));
    return result as unknown as PostgresQueryResult<R>;
  };
  return { query: query as PostgresPoolClient['query'], release: () => client.release() };
}
