/** How often an instance went down with the job in it: a job that takes down each instance it touches must stop. */
import type { Kysely, Migration } from 'kysely';

export const crashes: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .alterTable('jobs')
      .addColumn('crashes', 'integer', (column) => column.notNull().defaultTo(0))
      .execute();
  },
};
