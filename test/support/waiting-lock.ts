/** Sees when other transactions wait for what one holds, so that a test can force their order. Postgres only. */
import { sql } from 'kysely';
import type { Db } from '../../src/store/open.ts';
import { eventually } from './eventually.ts';

/** Resolves once so many sessions of this database wait for a lock. */
export async function othersWaitForLocks(db: Db, sessions = 1): Promise<void> {
  const waiting = async (): Promise<boolean> => {
    // else a transaction sees the sessions as they were when it first looked
    await sql`select pg_stat_clear_snapshot()`.execute(db);
    const { rows } = await sql<{ n: number }>`select count(*) as n from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(db);
    return (rows[0]?.n ?? 0) >= sessions;
  };
  await eventually(waiting, { what: `${sessions} waiting for a lock` });
}
