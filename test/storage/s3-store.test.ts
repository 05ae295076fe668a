/** The blob store's contract on a bucket of an S3 server that others wrote. */
import { afterAll, beforeAll } from 'vitest';
import { S3Server } from '../support/services/s3-server.ts';
import { blobStoreContract } from './blob-store.contract.ts';
import { s3Rig } from './s3-rig.ts';

let server: S3Server;
beforeAll(async () => {
  server = await S3Server.create();
  await server.start();
}, 60_000);
afterAll(() => server.dispose());

blobStoreContract('the S3 store', () => s3Rig(server));
