/**
 * The one list of store errors that pass by themselves, by what may be done about them. Whoever wants to know whether to
 * try again asks here; what is not listed is a mistake of ours or of the set-up, and trying again would not help.
 */

/**
 * `conflict`: certainly undone, since it was in the way of another transaction; the same again at once may work.
 * `full`: nothing was written, as there is no room; the same again may work later.
 * `unavailable`: the store cannot be reached or did not answer in time. A transaction that failed so may have been committed
 * all the same, when only the answer to its COMMIT was lost.
 */
export type StoreTrouble = 'conflict' | 'full' | 'unavailable';

/** What a disk without room, or over its quota, is called by SQLite, by Node and by Postgres (disk_full). */
const FULL = new Set([
  'SQLITE_FULL',
  'SQLITE_IOERR_WRITE',
  'SQLITE_IOERR_SHMSIZE',
  'ENOSPC',
  'EDQUOT',
  '53100',
]);

/** serialization_failure, deadlock_detected. */
const CONFLICTS = new Set(['40001', '40P01']);

const UNAVAILABLE = new Set([
  // no connection, or it broke
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  // the name is not known yet, as of a container that starts beside us
  'ENOTFOUND',
  'EAI_AGAIN',
  // idle_in_transaction_session_timeout, lock_not_available, query_canceled (statement_timeout)
  '25P03',
  '55P03',
  '57014',
  // admin_shutdown, crash_shutdown, cannot_connect_now, idle_session_timeout
  '57P01',
  '57P02',
  '57P03',
  '57P05',
  // during a failover the old primary takes no writes: read_only_sql_transaction
  '25006',
]);

/** Of connection exceptions, and of insufficient resources (too many connections, out of memory). */
const UNAVAILABLE_CLASS = /^(08|53)[0-9A-Z]{3}$/;

/** What pg and its pool say without any code, and Kysely once the store is closed. */
const UNAVAILABLE_MESSAGES = new Set([
  'timeout exceeded when trying to connect',
  'timeout expired',
  'Connection terminated',
  'Connection terminated unexpectedly',
  'Connection terminated due to connection timeout',
  'Query read timeout',
  'Client was closed and is not queryable',
  'Client has encountered a connection error and is not queryable',
  'Cannot use a pool after calling end on the pool',
  'driver has already been destroyed',
]);

/** What kind of trouble it is, when it passes; null when it does not pass by itself. */
export function storeTrouble(error: unknown): StoreTrouble | null {
  if (!(error instanceof Error)) return null;
  const code = 'code' in error ? error.code : undefined;
  if (typeof code !== 'string') return UNAVAILABLE_MESSAGES.has(error.message) ? 'unavailable' : null;
  if (FULL.has(code)) return 'full';
  if (CONFLICTS.has(code)) return 'conflict';
  // another program holds the embedded database
  if (code.startsWith('SQLITE_BUSY')) return 'unavailable';
  // a database that listens on a socket of the file system, and does not run yet
  if (code === 'ENOENT') return 'syscall' in error && error.syscall === 'connect' ? 'unavailable' : null;
  return UNAVAILABLE.has(code) || UNAVAILABLE_CLASS.test(code) ? 'unavailable' : null;
}
