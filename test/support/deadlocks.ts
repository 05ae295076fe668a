/** Counts transactions that waited for each other for ever, until Postgres ended one of them. */
import pg from 'pg';
import { eventually } from './eventually.ts';

/** The store does again what a deadlock undid, so nobody else would notice; but each costs a second. */
export async function deadlocksOf(url: string | undefined): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const select = `select (select deadlocks from pg_stat_database where datname = current_database()) as deadlocks,
    (select count(*) from pg_stat_activity where datname = current_database() and backend_type = 'client backend') as sessions`;
  // a session tells what it counted when it ends
  const last = await eventually(async () => {
    const { rows } = await client.query<{ deadlocks: string; sessions: string }>(select);
    return rows[0]?.sessions === '1' && rows[0];
  });
  await client.end();
  return Number(last.deadlocks);
}
