/** Chooses where bytes lie: a disk of this process, a volume that several share, or S3. */
import { join } from 'node:path';
import type { Config } from '../config.ts';
import type { Clock } from '../lib/clock.ts';
import type { BlobStore } from './blob-store.ts';
import { DiskStore } from './disk-store.ts';

export interface StorageParts {
  readonly config: Pick<Config, 'storageUrl' | 'dataDir'>;
  readonly clock: Clock;
}

export function createStorage({ config, clock }: StorageParts): BlobStore {
  if (config.storageUrl !== undefined) throw new Error('STORAGE_URL is not supported yet');
  // the data folder is locked: whatever is half-written was left by a dead process
  return new DiskStore({ root: join(config.dataDir, 'files'), clock, staleStagingMs: 0 });
}
