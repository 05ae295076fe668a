/** Two processes that put and remove the same bytes: what one has written a row for is never taken away by the other. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { createIds } from '../../src/lib/ids.ts';
import type { BlobStore } from '../../src/storage/blob-store.ts';
import { DiskStore } from '../../src/storage/disk-store.ts';
import { SqlBlobGuard } from '../../src/store/blob-pins.ts';
import type { Store } from '../../src/store/open.ts';
import { openTempStore, type TempStore } from '../support/temp-store.ts';
import { blobStoreContract, sha256, stored } from './blob-store.contract.ts';

let temp: TempStore;
let folder: string;

async function processOn(store: Store): Promise<DiskStore> {
  const guard = new SqlBlobGuard({ store, clock: systemClock, ids: createIds(systemClock) });
  const disk = new DiskStore({ root: folder, clock: systemClock, guard });
  await disk.start();
  return disk;
}

async function open(): Promise<void> {
  temp = await openTempStore('Postgres');
  folder = await mkdtemp(join(tmpdir(), 'shared-blobs-'));
}

async function close(): Promise<void> {
  await temp.close();
  await rm(folder, { recursive: true, force: true });
}

blobStoreContract('a volume that processes share', async () => {
  await open();
  const store = await processOn(temp.store);
  return { store, leftovers: async () => store.sweepStaging(-60_000), close };
});

const BLOBS = 8;
const ROUNDS = 250;

describe('two processes on one volume', () => {
  let putting: BlobStore;
  let removing: BlobStore;
  beforeEach(async () => {
    await open();
    putting = await processOn(temp.store);
    removing = await processOn(await temp.openAnother());
  });
  afterEach(close);

  it('never lose a blob whose row is written, over thousands of races', async () => {
    const named = new Set<string>();
    let removals = 0;

    const put = async (bytes: Buffer): Promise<void> => {
      const hash = sha256(bytes);
      for (let round = 0; round < ROUNDS; round++) {
        const { pin } = stored(await putting.put('acme', [bytes], { maxBytes: 100 }));
        named.add(hash);
        pin.release();
        expect(await putting.stat('acme', hash), `round ${round}`).toEqual({ bytes: bytes.length });
        named.delete(hash);
      }
    };
    const remove = async (bytes: Buffer, over: { done: boolean }): Promise<void> => {
      const hash = sha256(bytes);
      while (!over.done) {
        const result = await removing.remove('acme', hash, async () => !named.has(hash));
        if (result === 'removed') removals++;
      }
    };
    const race = async (bytes: Buffer): Promise<void> => {
      const over = { done: false };
      const remover = remove(bytes, over);
      await put(bytes).finally(() => {
        over.done = true;
      });
      await remover;
    };
    await Promise.all(Array.from({ length: BLOBS }, (_, n) => race(Buffer.from(`blob ${n}`))));
    // else nothing was contested
    expect(removals).toBeGreaterThan(BLOBS);
  }, 120_000);
});
