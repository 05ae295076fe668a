/**
 * Wishes: what somebody asks the leader to do with an instance. What an instance has in memory, so that every replica can
 * say so. An index to count the waiting jobs of one tenant. And logins of instances beside their addresses: in them before.
 */
import { type Kysely, type Migration, sql } from 'kysely';
import { parseAddress } from '../../lib/address.ts';

export const fleet: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('wishes')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('instance_id', 'text', (column) => column.notNull())
      .addColumn('kind', 'text', (column) => column.notNull())
      .addColumn('asked_at', 'bigint', (column) => column.notNull())
      .addColumn('done_at', 'bigint')
      .addColumn('error', 'text')
      .execute();
    await sql`create index wishes_open on wishes (asked_at) where done_at is null`.execute(db);
    await db.schema
      .alterTable('instances')
      .addColumn('loaded_models', 'text', (column) => column.notNull().defaultTo('[]'))
      .execute();
    await sql`create index jobs_waiting_of_tenant on jobs (tenant) where status = 'PENDING'`.execute(db);
    await db.schema.alterTable('instances').addColumn('login', 'text').execute();
    // by which inputs models are named, and what each input offers; unknown in rows written before
    await db.schema.alterTable('needs').addColumn('uses', 'text').execute();
    await db.schema.alterTable('inventories').addColumn('inputs', 'text').execute();
    await splitAddresses(db);
  },
};

interface AddressRow {
  readonly id: string;
  readonly url: string;
  readonly removed_at: number | null;
  readonly created_at: number;
}

/** Of two that only their logins told apart the newer one stays: they were one instance all along. */
async function splitAddresses(db: Kysely<unknown>): Promise<void> {
  const { rows } = await sql<AddressRow>`
    select id, url, removed_at, created_at from instances order by created_at desc, id desc`.execute(db);
  const live = new Map<string, AddressRow>();
  const split = rows.flatMap((row) => {
    const parsed = parseAddress(row.url);
    return parsed.ok ? [{ row, ...parsed.address }] : [];
  });
  for (const { row, url } of split) {
    if (row.removed_at !== null) continue;
    const newer = live.get(url);
    if (!newer) live.set(url, row);
    else await sql`update instances set removed_at = ${newer.created_at} where id = ${row.id}`.execute(db);
  }
  for (const { row, url, login } of split) {
    const kept = login?.reveal() ?? null;
    await sql`update instances set url = ${url}, login = ${kept} where id = ${row.id}`.execute(db);
  }
}
