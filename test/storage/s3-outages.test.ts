/** An object store that is killed, paused or away: typed ends, nothing half-done, and all works again when it is back. */
import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DOUBT_MS } from '../../src/domain/blob-guard.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { MemoryBlobGuard } from '../../src/storage/memory-blob-guard.ts';
import { parseS3Url } from '../../src/storage/s3-location.ts';
import { eventually } from '../support/eventually.ts';
import { S3_CREDENTIALS, S3Server } from '../support/services/s3-server.ts';
import { pieces, sha256, stored } from './blob-store.contract.ts';
import { type S3Rig, s3Rig } from './s3-rig.ts';

const MB = 1024 * 1024;
const UNAVAILABLE = { stored: false, reason: 'unavailable' };
const FAILED = { name: 'StorageUnavailable', code: 'STORAGE_UNAVAILABLE' };

let server: S3Server;
beforeAll(async () => {
  server = await S3Server.create();
  await server.start();
}, 60_000);
afterAll(() => server.dispose());

describe('an object store that goes away', () => {
  const bytes = Buffer.from('some bytes');
  const hash = sha256(bytes);
  let rig: S3Rig;
  let guard: MemoryBlobGuard;
  beforeEach(async () => {
    guard = new MemoryBlobGuard();
    rig = await s3Rig(server, { guard });
  });
  afterEach(async () => {
    if (!(await server.answers())) await server.start();
    expect(await rig.leftovers()).toBe(0);
    await rig.close();
  });

  const put = (content: Buffer) => rig.store.put('acme', [content], { maxBytes: 100 * MB });

  it.each([10, 3 * MB, 20 * MB])(
    'answers a put of %i bytes with a typed end while it is away',
    async (size) => {
      const content = randomBytes(size);
      await server.kill();
      expect(await put(content)).toEqual(UNAVAILABLE);
      // nobody counts on what was not stored
      expect(await guard.unlessPinned('acme', sha256(content), async () => 'free')).toBe('free');
      await server.start();
      const { pin, sha256: name } = stored(await put(content));
      pin.release();
      expect((await rig.store.toBuffer('acme', name, size))?.equals(content)).toBe(true);
    },
    60_000,
  );

  it('fails every question with an error that says so, and never takes a blob for absent', async () => {
    stored(await put(bytes)).pin.release();
    await server.kill();
    await expect(rig.store.stat('acme', hash)).rejects.toMatchObject(FAILED);
    await expect(rig.store.open('acme', hash)).rejects.toMatchObject(FAILED);
    await expect(rig.store.toBuffer('acme', hash, 100)).rejects.toMatchObject(FAILED);
    await expect(rig.store.list(10)).rejects.toMatchObject(FAILED);
    await expect(rig.store.remove('acme', hash, async () => true)).rejects.toMatchObject(FAILED);
    await expect(rig.store.freeBytes()).rejects.toMatchObject(FAILED);
    await server.start();
    expect(await rig.store.stat('acme', hash)).toEqual({ bytes: bytes.length });
    expect(await rig.store.freeBytes()).toBeNull();
  }, 60_000);

  it('does not wait for a server that hangs', async () => {
    const hasty = await s3Rig(server, { bucket: rig.bucket, patienceMs: 500 });
    await server.pause();
    try {
      expect(await hasty.store.put('acme', [bytes], { maxBytes: 100 })).toEqual(UNAVAILABLE);
      await expect(hasty.store.stat('acme', hash)).rejects.toMatchObject(FAILED);
      await expect(hasty.store.freeBytes()).rejects.toMatchObject(FAILED);
    } finally {
      await server.resume();
      await hasty.close();
    }
    stored(await put(bytes)).pin.release();
  }, 60_000);

  it('stores nothing anew while a removal without an answer may still be carried out', async () => {
    let later = 0;
    const careful = new MemoryBlobGuard({ monotonic: () => later });
    const { store, close } = await s3Rig(server, { bucket: rig.bucket, guard: careful });
    const putAgain = () => store.put('acme', [bytes], { maxBytes: 100 });
    stored(await putAgain()).pin.release();
    const hanging = async (): Promise<boolean> => {
      await server.pause();
      return true;
    };
    try {
      await expect(store.remove('acme', hash, hanging)).rejects.toMatchObject(FAILED);
    } finally {
      await server.resume();
    }
    expect(await putAgain()).toEqual(UNAVAILABLE);
    // it does in the end what nobody waits for any more
    await eventually(async () => (await store.stat('acme', hash)) === null);
    expect(await putAgain()).toEqual(UNAVAILABLE);
    later = DOUBT_MS;
    stored(await putAgain()).pin.release();
    expect(await store.toBuffer('acme', hash, 100)).toEqual(bytes);
    expect(await store.remove('acme', hash, async () => true)).toBe('removed');
    await close();
  }, 60_000);

  it('ends a put whose server is killed in the middle of it, and leaves no half a blob', async () => {
    const content = randomBytes(40 * MB);
    const started = rig.store.put('acme', pieces(content, MB), { maxBytes: 100 * MB });
    // in the middle: the first part is on its way
    await eventually(async () => (await rig.uploads()) > 0);
    await server.kill();
    expect(await started).toEqual(UNAVAILABLE);
    await server.start();
    expect(await rig.store.stat('acme', sha256(content))).toBeNull();
    stored(await put(content)).pin.release();
    expect((await rig.store.toBuffer('acme', sha256(content), 100 * MB))?.equals(content)).toBe(true);
    await rig.abandon();
  }, 60_000);

  it('breaks a download off, and never ends it short, when the server is killed in the middle of it', async () => {
    const content = randomBytes(40 * MB);
    const { sha256: name, pin } = stored(await put(content));
    pin.release();
    const opened = await rig.store.open('acme', name);
    const reader = opened?.stream[Symbol.asyncIterator]();
    expect((await reader?.next())?.done).toBe(false);
    await server.kill();
    const rest = async (): Promise<void> => {
      while (!((await reader?.next())?.done ?? true));
    };
    await expect(rest()).rejects.toMatchObject(FAILED);
    await server.start();
    const again = await rig.store.open('acme', name);
    expect(again && (await buffer(again.stream)).equals(content)).toBe(true);
  }, 60_000);

  it('lets a gateway start without it, and is used once it is there', async () => {
    await server.kill();
    const early = await s3Rig(server, { bucket: rig.bucket });
    await server.start();
    stored(await early.store.put('acme', [bytes], { maxBytes: 100 })).pin.release();
    await early.close();
  }, 60_000);

  it('is spoken of in the log without secrets, names of blobs or addresses', async () => {
    let log = '';
    const sink = new Writable({
      write(chunk, _, done) {
        log += String(chunk);
        done();
      },
    });
    const location = parseS3Url(new URL(server.storageUrl(rig.bucket)));
    const talking = await s3Rig(server, { location, logger: createLogger('debug', sink) });
    await server.kill();
    expect(await talking.store.put('acme', [bytes], { maxBytes: 100 })).toEqual(UNAVAILABLE);
    await talking.close();
    expect(log).toContain('the object store took no file');
    for (const secret of [...Object.values(S3_CREDENTIALS), hash]) expect(log).not.toContain(secret);
  }, 60_000);
});
