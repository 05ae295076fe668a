/**
 * Tells errors of the store from others. A connection to a database breaks with the same codes as any other connection (a
 * picture's server, an instance, an object store), so those that the database's own connections throw are marked.
 */
import { type StoreTrouble, storeTrouble } from './retryable.ts';

const MARKED = new WeakSet<Error>();
/** Only SQLite, and Postgres' SQLSTATE, name things like this. */
const DATABASE_CODE = /^(SQLITE_|\d[0-9A-Z]{4}$)/;
/** What Kysely says itself, once the store is closed. */
const CLOSED = 'driver has already been destroyed';

/** Marks it as one of the store; for whoever speaks with the database. */
export function ofStore<T>(error: T): T {
  if (error instanceof Error) MARKED.add(error);
  return error;
}

/** As storeTrouble, for whoever sees errors of all origins; no room is no room, whoever needs it. */
export function troubleOfStore(error: unknown): StoreTrouble | null {
  const trouble = storeTrouble(error);
  return trouble === 'full' || isOfStore(error) ? trouble : null;
}

function isOfStore(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (MARKED.has(error) || error.message === CLOSED) return true;
  return 'code' in error && typeof error.code === 'string' && DATABASE_CODE.test(error.code);
}
