/** Brings the tables to what this version expects: all migrations that are missing in one transaction, or none of them. */
import { type Kysely, Migrator } from 'kysely';
import type { Logger } from '../lib/logger.ts';
import { initial } from './migrations/0001-initial.ts';
import { crashes } from './migrations/0002-crashes.ts';
import { blobPins } from './migrations/0003-blob-pins.ts';
import { leaseTerms } from './migrations/0004-lease-terms.ts';
import { fleet } from './migrations/0005-fleet.ts';
import { metrics } from './migrations/0006-metrics.ts';
import type { Tables } from './schema.ts';

const MIGRATIONS = {
  '0001-initial': initial,
  '0002-crashes': crashes,
  '0003-blob-pins': blobPins,
  '0004-lease-terms': leaseTerms,
  '0005-fleet': fleet,
  '0006-metrics': metrics,
};

export async function migrate(db: Kysely<Tables>, logger: Logger): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => MIGRATIONS } });
  const { error, results } = await migrator.migrateToLatest();
  if (error) throw error;
  for (const { migrationName } of results ?? []) logger.info({ migration: migrationName }, 'migrated');
}
