/**
 * Wishes: what somebody asks the leader to do with an instance. What an instance has in memory, so that every replica can
 * say so. And an index to count the waiting jobs of one tenant.
 */
import { type Kysely, type Migration, sql } from 'kysely';

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
  },
};
