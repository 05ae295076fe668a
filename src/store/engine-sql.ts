/** The few places where the engines need different SQL; queries call these and stay the same. */
import { PostgresAdapter, type RawBuilder, sql } from 'kysely';
import type { Db } from './open.ts';

export function isPostgres(db: Db): boolean {
  return db.getExecutor().adapter instanceof PostgresAdapter;
}

/**
 * The time at which the statement runs, in epoch ms, by the one clock that all processes of the store share: Postgres' own.
 * SQLite has one process, whose clock says `now`.
 */
export function storeNow(db: Db, now: number): RawBuilder<number> {
  return isPostgres(db)
    ? sql<number>`(extract(epoch from clock_timestamp()) * 1000)::bigint`
    : sql<number>`${now}`;
}

/**
 * For `.modifyEnd(...)` of a select: nobody changes the rows it finds until the transaction ends; others may share them so.
 * SQLite has one writer at a time, so there it is nothing.
 */
export function shared(tx: Db): RawBuilder<void> {
  return isPostgres(tx) ? sql<void>`for share` : sql<void>``;
}

/** The same for what a unique index holds of the rows; the rest may change meanwhile. */
export function identityShared(tx: Db): RawBuilder<void> {
  return isPostgres(tx) ? sql<void>`for key share` : sql<void>``;
}

/** For `.modifyEnd(...)` of a select: its rows are held, and those that another transaction holds are left out. */
export function unlocked(tx: Db): RawBuilder<void> {
  return isPostgres(tx) ? sql<void>`for update skip locked` : sql<void>``;
}

/**
 * Puts away what was committed of late, so that no later commit has all of it to do and holds everybody up. SQLite's log,
 * that is: Postgres has somebody for it.
 */
export async function checkpoint(db: Db): Promise<void> {
  if (!isPostgres(db)) await sql`pragma wal_checkpoint(passive)`.execute(db);
}

/**
 * Until the transaction ends no other one gets past the same key; what another did under it is then seen. SQLite runs one
 * transaction at a time anyway.
 */
export async function lockKey(tx: Db, key: string): Promise<void> {
  if (isPostgres(tx)) await sql`select pg_advisory_xact_lock(hashtextextended(${key}, 0))`.execute(tx);
}

/**
 * A condition: false while another transaction is past `lockKey` with the key; true, and from then to the end of this one
 * none gets past it. Many may stand here at once. SQLite runs one transaction at a time anyway.
 */
export function keyShared(tx: Db, key: string): RawBuilder<boolean> {
  return isPostgres(tx)
    ? sql<boolean>`pg_try_advisory_xact_lock_shared(hashtextextended(${key}, 0))`
    : sql<boolean>`1 = 1`;
}

/** Types that both engines name alike. */
type SqlType = 'text' | 'bigint' | 'double precision';

/**
 * Rows as a table to select from, in one parameter however many they are: a statement of many `values` costs several times
 * as much to build, to send and to plan.
 */
export function rowsTable<C extends string>(
  db: Db,
  columns: Readonly<Record<C, SqlType>>,
  rows: readonly Readonly<Record<NoInfer<C>, string | number | null>>[],
): RawBuilder<unknown> {
  const names = Object.keys(columns) as C[];
  const json = JSON.stringify(rows.map((row) => names.map((name) => row[name])));
  const column = (name: C, n: number) =>
    isPostgres(db)
      ? sql`cast(value->>${sql.lit(n)} as ${sql.raw(columns[name])}) as ${sql.ref(name)}`
      : sql`value->>${sql.lit(n)} as ${sql.ref(name)}`;
  const each = isPostgres(db) ? sql`jsonb_array_elements(cast(${json} as jsonb))` : sql`json_each(${json})`;
  return sql`(select ${sql.join(names.map(column))} from ${each})`;
}
