/** A store in a bucket of its own on a real S3 server. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type _Object,
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { MemoryBlobGuard } from '../../src/storage/memory-blob-guard.ts';
import { parseS3Url } from '../../src/storage/s3-location.ts';
import { S3Store, type S3StoreOptions } from '../../src/storage/s3-store.ts';
import { S3_CREDENTIALS, type S3Server } from '../support/services/s3-server.ts';

export interface S3Rig {
  readonly store: S3Store;
  readonly bucket: string;
  /** Of the test itself, to look behind the store's back. */
  readonly client: S3Client;
  readonly objects: () => Promise<_Object[]>;
  /** In parts, not completed. */
  readonly uploads: () => Promise<number>;
  /** Half-written things: spool files and uploads in parts. */
  readonly leftovers: () => Promise<number>;
  /** Ends what lies around half-written in the bucket, as time would. */
  readonly abandon: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** On a machine under load even a short removal may take as long as if the process had slept. */
const NEVER_SLEEPS: Clock = { ...systemClock, monotonic: () => 0 };

/** `options.started` false: the server need not run. */
export async function s3Rig(
  server: S3Server,
  options: Partial<S3StoreOptions> & {
    readonly bucket?: string;
    readonly started?: boolean;
    readonly secret?: string;
  } = {},
): Promise<S3Rig> {
  Object.assign(process.env, S3_CREDENTIALS);
  if (options.secret !== undefined) process.env.AWS_SECRET_ACCESS_KEY = options.secret;
  const bucket = options.bucket ?? `test-${randomBytes(8).toString('hex')}`;
  const spool = await mkdtemp(join(tmpdir(), 's3-spool-'));
  const location = parseS3Url(new URL(server.storageUrl(bucket, '/some/path')));
  const store = new S3Store({
    location,
    spool,
    clock: NEVER_SLEEPS,
    guard: new MemoryBlobGuard(),
    logger: createLogger('silent'),
    ...options,
  });
  if (options.started ?? true) await store.start();
  const client = new S3Client({ endpoint: server.url, region: 'us-east-1', forcePathStyle: true });
  const where = { Bucket: bucket };
  return {
    store,
    bucket,
    client,
    objects: async () => (await client.send(new ListObjectsV2Command(where))).Contents ?? [],
    uploads: async () => (await client.send(new ListMultipartUploadsCommand(where))).Uploads?.length ?? 0,
    abandon: async () => {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand(where));
      for (const { Key, UploadId } of Uploads) {
        await client.send(new AbortMultipartUploadCommand({ ...where, Key, UploadId }));
      }
    },
    leftovers: async () => {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand(where));
      return Uploads.length + (await readdir(spool)).length;
    },
    close: async () => {
      await store.stop();
      client.destroy();
      await rm(spool, { recursive: true, force: true });
    },
  };
}
