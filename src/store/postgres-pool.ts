/**
 * Connections to Postgres as Kysely's dialect wants them: never more than allowed, none that hangs for ever, none used again
 * that broke. A database that is away makes queries fail in time; once it is back the next query opens a new connection.
 */
import { Socket } from 'node:net';
import type { PostgresPool } from 'kysely';
import pg from 'pg';
import { pause, systemClock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { PostgresConnection } from './postgres-connection.ts';
import { ofStore } from './store-error.ts';

/** How long a query may wait for a free connection before it is refused. */
const CONNECTION_WAIT_MS = 5000;
/** A statement that takes longer, or gets no answer for as long, has failed. */
const STATEMENT_MS = 15_000;
/** The same where tables are made or changed, and while another process does that. */
export const PATIENT_STATEMENT_MS = 10 * 60_000;
/** A process that sleeps inside a transaction loses it, so that what it locked does not hold up others. */
const IDLE_IN_TRANSACTION_MS = 5000;
/** A host that vanished is noticed so long after it was heard last, and a few seconds, also where nothing is asked. */
const KEEP_ALIVE_MS = 10_000;
/** What is under way may end before the pool does; then it is cut. */
const DRAIN_MS = 5000;
/** How long a server may take to answer a good-bye. */
const GOODBYE_MS = 500;

/** int8 and numeric come as text because they may not fit a number; ours do: milliseconds, bytes, counts, means of them. */
const AS_NUMBERS: ReadonlySet<number> = new Set([pg.types.builtins.INT8, pg.types.builtins.NUMERIC]);

export interface PostgresPoolOptions {
  readonly url: string;
  readonly max: number;
  readonly listeners: ReadonlySet<(sql: string) => void>;
  readonly logger: Logger;
  /** Longest time of a statement. */
  readonly statementMs?: number;
}

/** Connects when it is first used. Parameters of the URL overrule the times for statements. */
export function createPostgresPool(options: PostgresPoolOptions): PostgresPool {
  const { url, max, listeners, logger, statementMs = STATEMENT_MS } = options;
  const sockets = new Set<Socket>();
  const pool = new pg.Pool({
    connectionString: url,
    max,
    connectionTimeoutMillis: CONNECTION_WAIT_MS,
    statement_timeout: statementMs,
    query_timeout: statementMs + 1000,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    application_name: 'comfyfleet',
    stream: () => owned(new Socket(), sockets),
    types: {
      getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
        AS_NUMBERS.has(oid) ? Number : pg.types.getTypeParser(oid, format as 'text')) as never,
    },
  });
  // A connection that breaks while nobody uses it: the next query opens another one. Not the error itself: it holds the client.
  pool.on('error', ({ message: reason }) =>
    logger.warn({ reason }, 'an idle connection to the database broke'),
  );
  return {
    connect: async () => {
      const client = await pool.connect().catch((error: unknown) => {
        throw ofStore(error);
      });
      return new PostgresConnection(client, listeners);
    },
    end: () => end(pool, sockets),
  };
}

function owned(socket: Socket, sockets: Set<Socket>): Socket {
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
  return socket;
}

/** In order where the database answers; bounded where it does not. */
async function end(pool: pg.Pool, sockets: ReadonlySet<Socket>): Promise<void> {
  const ended = pool.end();
  if (!(await within(DRAIN_MS, ended))) for (const socket of sockets) socket.destroy();
  await within(GOODBYE_MS, ended);
  const closed = [...sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
  await within(GOODBYE_MS, Promise.all(closed));
  for (const socket of sockets) socket.destroy();
}

/** False when it takes longer. */
async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  const done = new AbortController();
  void work.finally(() => done.abort('done')).catch(() => undefined);
  return !(await pause(systemClock, ms, done.signal));
}
