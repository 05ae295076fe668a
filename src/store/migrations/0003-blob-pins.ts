/** Who counts on a stored file that no row names yet: where several processes share the files, they must know of each other. */
import type { Kysely, Migration } from 'kysely';

export const blobPins: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('blob_pins')
      .addColumn('tenant', 'text', (column) => column.notNull())
      .addColumn('sha256', 'text', (column) => column.notNull())
      .addColumn('id', 'text', (column) => column.notNull())
      .addColumn('expires_at', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('blob_pins_pk', ['tenant', 'sha256', 'id'])
      .execute();
    await db.schema.createIndex('blob_pins_expires_at').on('blob_pins').column('expires_at').execute();
  },
};
