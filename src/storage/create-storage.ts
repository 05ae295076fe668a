/** Chooses where bytes lie: a disk of this process, a volume that several share, or S3. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config.ts';
import type { BlobGuard } from '../domain/blob-guard.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { BlobStore } from './blob-store.ts';
import { DiskStore } from './disk-store.ts';
import { parseS3Url } from './s3-location.ts';
import { S3Store } from './s3-store.ts';

export interface StorageParts {
  readonly config: Pick<Config, 'storageUrl' | 'databaseUrl' | 'dataDir'>;
  readonly clock: Clock;
  /** Of all processes that share the blobs. */
  readonly guard: BlobGuard;
  readonly logger: Logger;
}

/** @throws when the URL cannot be understood. Nothing is opened before `start`. */
export function createStorage({ config, clock, guard, logger }: StorageParts): BlobStore {
  const { storageUrl, databaseUrl, dataDir } = config;
  if (storageUrl === undefined) {
    // the store in the data folder keeps it locked: whatever is half-written was left by a dead process
    const staleStagingMs = databaseUrl === undefined ? 0 : undefined;
    return new DiskStore({ root: join(dataDir, 'files'), clock, guard, staleStagingMs });
  }
  const url = new URL(storageUrl);
  if (url.protocol === 'file:') return new DiskStore({ root: volume(url), clock, guard });
  return new S3Store({ location: parseS3Url(url), spool: join(dataDir, 'spool'), clock, guard, logger });
}

function volume(url: URL): string {
  if (url.host !== '') throw new Error('STORAGE_URL: a file URL names no host: file:///path/of/the/volume');
  return fileURLToPath(url);
}
