/**
 * Makes the term part of what identifies a lease. Whoever relies on a term then only keeps it from changing: its holder may
 * renew the lease meanwhile, and neither waits for the other.
 */
import type { Kysely, Migration } from 'kysely';

export const leaseTerms: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.createIndex('leases_term').unique().on('leases').columns(['name', 'term']).execute();
  },
};
