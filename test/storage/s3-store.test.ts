/** The S3 store on a bucket of an S3 server that others wrote. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { CreateMultipartUploadCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { MemoryBlobGuard } from '../../src/storage/memory-blob-guard.ts';
import { openBucket, type S3Bucket } from '../../src/storage/s3-bucket.ts';
import { parseS3Url } from '../../src/storage/s3-location.ts';
import { S3Server } from '../support/services/s3-server.ts';
import { blobStoreContract, sha256, stored } from './blob-store.contract.ts';
import { type S3Rig, s3Rig } from './s3-rig.ts';

const MB = 1024 * 1024;

let server: S3Server;
beforeAll(async () => {
  server = await S3Server.create();
  await server.start();
}, 60_000);
afterAll(() => server.dispose());

blobStoreContract('the S3 store', () => s3Rig(server));

describe('S3Store', () => {
  const bytes = Buffer.from('some bytes');
  const hash = sha256(bytes);
  let rig: S3Rig;
  beforeEach(async () => {
    rig = await s3Rig(server);
  });
  afterEach(() => rig.close());

  const put = async (content: Buffer) => {
    const result = stored(await rig.store.put('acme', [content], { maxBytes: 100 * MB }));
    result.pin.release();
    return result;
  };

  it('calls a blob by prefix, tenant, first two digits and hash', async () => {
    await put(bytes);
    expect((await rig.objects()).map(({ Key }) => Key)).toEqual([
      `some/path/blobs/acme/${hash.slice(0, 2)}/${hash}`,
    ]);
  });

  it('sends no second copy of bytes it has', async () => {
    await put(bytes);
    const [first] = await rig.objects();
    await put(bytes);
    expect(await rig.objects()).toEqual([first]);
  });

  it('replaces a blob whose size is wrong', async () => {
    await put(bytes);
    const [object] = await rig.objects();
    await rig.client.send(new PutObjectCommand({ Bucket: rig.bucket, Key: object?.Key, Body: 'cut' }));
    await put(bytes);
    expect((await rig.store.toBuffer('acme', hash, 100))?.equals(bytes)).toBe(true);
  });

  it.each([bytes.length, 3 * MB])(
    'ends with an error, not with bytes that lost their meaning, when %i of them changed in the bucket',
    async (size) => {
      const content = randomBytes(size);
      const { sha256: name } = await put(content);
      const [object] = await rig.objects();
      const changed = Buffer.from(content);
      changed[size - 1] = (changed[size - 1] ?? 0) ^ 1;
      await rig.client.send(new PutObjectCommand({ Bucket: rig.bucket, Key: object?.Key, Body: changed }));
      const opened = await rig.store.open('acme', name);
      await expect(opened && buffer(opened.stream)).rejects.toThrow('not those of their name');
      await expect(rig.store.toBuffer('acme', name, size)).rejects.toThrow('not those of their name');
    },
  );

  it('leaves alone and does not list what others keep in the bucket', async () => {
    await put(bytes);
    for (const Key of [
      'some/path/blobs/acme/readme',
      'some/path/blobs/~!/00/x',
      'zoo',
      'some/path/blobs/zoo',
    ]) {
      await rig.client.send(new PutObjectCommand({ Bucket: rig.bucket, Key, Body: 'theirs' }));
    }
    // in pages of one, so that pages hold nothing of ours
    expect((await rig.store.list(1)).map((blob) => blob.sha256)).toEqual([hash]);
    expect(await rig.store.list(10, { tenant: 'acme', sha256: hash })).toEqual([]);
  });

  it('sweeps away uploads that dead processes left half done, not those that may be under way', async () => {
    const Key = `some/path/blobs/acme/${hash.slice(0, 2)}/${hash}`;
    await rig.client.send(new CreateMultipartUploadCommand({ Bucket: rig.bucket, Key }));
    expect(await rig.store.sweepStaging(0)).toBe(0);
    expect(await rig.leftovers()).toBe(1);
    const later = { ...systemClock, now: () => Date.now() + 2 * 3_600_000 };
    const tomorrow = await s3Rig(server, { bucket: rig.bucket, clock: later });
    expect(await tomorrow.store.sweepStaging(0)).toBe(1);
    expect(await rig.leftovers()).toBe(0);
    await tomorrow.close();
  });

  it('does not mind that another process sweeps the same away', async () => {
    for (let n = 0; n < 10; n++) {
      const Key = `some/path/blobs/acme/${hash.slice(0, 2)}/${sha256(Buffer.from(String(n)))}`;
      await rig.client.send(new CreateMultipartUploadCommand({ Bucket: rig.bucket, Key }));
    }
    const later = { ...systemClock, now: () => Date.now() + 2 * 3_600_000 };
    const tomorrow = await s3Rig(server, { bucket: rig.bucket, clock: later });
    await Promise.all([0, 1, 2, 3].map(() => tomorrow.store.sweepStaging(0)));
    expect(await rig.leftovers()).toBe(0);
    await tomorrow.close();
  });

  it('pins nothing that it cannot name', async () => {
    const guard = new MemoryBlobGuard();
    const odd = await s3Rig(server, { bucket: rig.bucket, guard });
    const nameless = '\ud800';
    await expect(odd.store.put(nameless, [bytes], { maxBytes: 100 })).rejects.toThrow('whole letters');
    expect(await guard.unlessPinned(nameless, hash, async () => 'free')).toBe('free');
    await odd.close();
  });

  it('carries a large file in parts, and only some of them in memory', async () => {
    const size = 96 * MB;
    const content = randomBytes(MB);
    const source = async function* () {
      for (let sent = 0; sent < size; sent += MB) yield content;
    };
    const folder = await mkdtemp(join(tmpdir(), 's3-large-'));
    const before = held();
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, held() - before);
    }, 5);
    try {
      const { sha256: name, pin } = stored(await rig.store.put('acme', source(), { maxBytes: size }));
      pin.release();
      expect(await rig.store.stat('acme', name)).toEqual({ bytes: size });
      const opened = await rig.store.open('acme', name);
      await pipeline(opened?.stream ?? [], createWriteStream(join(folder, 'copy')));
      expect((await stat(join(folder, 'copy'))).size).toBe(size);
    } finally {
      clearInterval(watch);
      await rm(folder, { recursive: true, force: true });
    }
    expect(most).toBeLessThan(size / 2);
    expect(await rig.leftovers()).toBe(0);
  }, 60_000);

  it('reads a range out of the middle of a blob that went up in parts', async () => {
    const content = randomBytes(17 * MB);
    const { sha256: name } = await put(content);
    const range = { start: 8 * MB - 5, end: 8 * MB + 4 };
    const opened = await rig.store.open('acme', name, range);
    expect(opened?.total).toBe(content.length);
    expect(opened && (await buffer(opened.stream)).equals(content.subarray(range.start, range.end + 1))).toBe(
      true,
    );
  });

  it('lets go of the connection when a reader leaves early', async () => {
    const { sha256: name } = await put(randomBytes(9 * MB));
    for (let n = 0; n < 5; n++) {
      const opened = await rig.store.open('acme', name);
      const first = await opened?.stream[Symbol.asyncIterator]().next();
      expect(first?.done).toBe(false);
      opened?.stream.destroy();
      if (opened && !opened.stream.closed) await once(opened.stream, 'close');
    }
    expect((await rig.store.toBuffer('acme', name, 9 * MB))?.length).toBe(9 * MB);
  });

  it('starts with a bucket that others made, and makes none unless it is told to', async () => {
    const url = new URL(server.storageUrl('no-such-bucket'));
    url.searchParams.delete('create-bucket');
    await expect(s3Rig(server, { location: parseS3Url(url) })).rejects.toThrow('no bucket no-such-bucket');
    const again = await s3Rig(server, { bucket: rig.bucket });
    await again.close();
  });

  it('does not start with credentials that the server refuses, and does not say them', async () => {
    const starting = s3Rig(server, { bucket: rig.bucket, secret: 'a-wrong-secret' });
    await expect(starting).rejects.toThrow(/^STORAGE_URL: the object store cannot be used: [\w ]*403$/);
  });
});

describe('what goes up', () => {
  let rig: S3Rig;
  let bucket: S3Bucket;
  let folder: string;
  beforeEach(async () => {
    rig = await s3Rig(server);
    const location = parseS3Url(new URL(server.storageUrl(rig.bucket)));
    bucket = await openBucket(location, { clock: systemClock, patienceMs: 10_000 });
    folder = await mkdtemp(join(tmpdir(), 's3-up-'));
  });
  afterEach(async () => {
    bucket.destroy();
    await rig.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('is refused by the server when it is not what its checksum says', async () => {
    const bytes = Buffer.from('some bytes');
    await expect(bucket.put('one', bytes, sha256(Buffer.from('other bytes')))).rejects.toThrow();
    expect(await rig.objects()).toEqual([]);
    await bucket.put('one', bytes, sha256(bytes));
    expect(await bucket.head('one')).toMatchObject({ key: 'one', bytes: bytes.length });
  });

  it.each([2 * MB, 20 * MB])(
    'becomes nothing when the file of %i bytes changed on the disk',
    async (size) => {
      const content = randomBytes(size);
      const path = join(folder, 'file');
      const changed = Buffer.from(content);
      changed[size - 1] = (changed[size - 1] ?? 0) ^ 1;
      await writeFile(path, changed);
      await expect(bucket.putFile('one', path, size, sha256(content))).rejects.toThrow(
        'not those of their name',
      );
      await writeFile(path, content.subarray(0, size - 1));
      await expect(bucket.putFile('one', path, size, sha256(content))).rejects.toThrow(
        `of ${size} bytes came`,
      );
      expect(await rig.objects()).toEqual([]);
      expect(await rig.leftovers()).toBe(0);
    },
  );
});

/** Bytes in buffers, where files pass. */
function held(): number {
  return process.memoryUsage().arrayBuffers;
}
