import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../src/lib/clock.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { DiskStore, type DiskStoreOptions } from '../../src/storage/disk-store.ts';
import { MemoryBlobGuard } from '../../src/storage/memory-blob-guard.ts';
import { blobStoreContract, sha256, stored } from './blob-store.contract.ts';

const folders: string[] = [];

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function diskStore(
  options: Partial<DiskStoreOptions> = {},
): Promise<{ store: DiskStore; root: string }> {
  const root = options.root ?? (await mkdtemp(join(tmpdir(), 'blobs-')));
  folders.push(root);
  const store = new DiskStore({ root, clock: systemClock, ...options });
  await store.start();
  return { store, root };
}

const filesIn = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name);

blobStoreContract('the disk store', async () => {
  const { store, root } = await diskStore();
  return {
    store,
    leftovers: async () => (await readdir(join(root, 'staging'))).length,
    close: () => store.stop(),
  };
});

describe('DiskStore', () => {
  const bytes = Buffer.from('some bytes');
  const hash = sha256(bytes);

  it('files a blob under tenant, first two digits and hash', async () => {
    const { store, root } = await diskStore();
    stored(await store.put('acme', [bytes], { maxBytes: 100 }));
    expect((await stat(join(root, 'blobs', 'acme', hash.slice(0, 2), hash))).size).toBe(bytes.length);
  });

  it('finds its blobs again after a restart', async () => {
    const { store, root } = await diskStore();
    stored(await store.put('acme', [bytes], { maxBytes: 100 }));
    await store.stop();
    const again = await diskStore({ root });
    expect((await again.store.toBuffer('acme', hash, 100))?.equals(bytes)).toBe(true);
  });

  it('removes at its start what a dead process left in staging, but not what is being written', async () => {
    const { root } = await diskStore();
    const staging = join(root, 'staging');
    await writeFile(join(staging, 'dead'), 'x');
    await writeFile(join(staging, 'alive'), 'x');
    const old = new Date(Date.now() - 2 * 3_600_000);
    await utimes(join(staging, 'dead'), old, old);
    await diskStore({ root });
    expect(await readdir(staging)).toEqual(['alive']);
  });

  it('counts what it sweeps', async () => {
    const { store, root } = await diskStore();
    await writeFile(join(root, 'staging', 'one'), 'x');
    await mkdir(join(root, 'staging', 'folder'));
    expect(await store.sweepStaging(3_600_000)).toBe(0);
    expect(await store.sweepStaging(-60_000)).toBe(1);
  });

  it('writes no second copy of bytes it has', async () => {
    const { store, root } = await diskStore();
    stored(await store.put('acme', [bytes], { maxBytes: 100 }));
    const { ino } = await stat(join(root, 'blobs', 'acme', hash.slice(0, 2), hash));
    stored(await store.put('acme', [bytes], { maxBytes: 100 }));
    expect((await stat(join(root, 'blobs', 'acme', hash.slice(0, 2), hash))).ino).toBe(ino);
    expect(await filesIn(root)).toEqual([hash]);
  });

  it('replaces a blob whose size is wrong', async () => {
    const { store, root } = await diskStore();
    stored(await store.put('acme', [bytes], { maxBytes: 100 }));
    await writeFile(join(root, 'blobs', 'acme', hash.slice(0, 2), hash), 'cut');
    stored(await store.put('acme', [bytes], { maxBytes: 100 }));
    expect((await store.toBuffer('acme', hash, 100))?.equals(bytes)).toBe(true);
  });

  it('stores on although its folders were removed behind its back', async () => {
    const { store, root } = await diskStore();
    stored(await store.put('acme', [bytes], { maxBytes: 100 }));
    await rm(join(root, 'blobs', 'acme'), { recursive: true });
    stored(await store.put('acme', [bytes], { maxBytes: 100 }));
    expect(await store.stat('acme', hash)).toEqual({ bytes: bytes.length });
  });

  it('removes nothing any more when it slept, and so may have lost its hold on the blob', async () => {
    let slept = 0;
    const clock: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() + slept };
    const { store } = await diskStore({ clock });
    stored(await store.put('acme', [bytes], { maxBytes: 100 })).pin.release();
    const sleeping = async (): Promise<boolean> => {
      slept += 60_000;
      return true;
    };
    expect(await store.remove('acme', hash, sleeping)).toBe('in-use');
    expect(await store.remove('acme', hash, async () => true)).toBe('removed');
  });

  it('stores nothing while its guard does not answer', async () => {
    const guard = new MemoryBlobGuard();
    guard.pin = async () => Promise.reject(new Error('the database is away'));
    const { store, root } = await diskStore({ guard });
    const result = await store.put('acme', [bytes], { maxBytes: 100 });
    expect(result).toEqual({ stored: false, reason: 'unavailable' });
    expect(await filesIn(root)).toEqual([]);
  });

  it('lets go of a blob that it could not store', async () => {
    const guard = new MemoryBlobGuard();
    const { store, root } = await diskStore({ guard });
    await rm(join(root, 'blobs'), { recursive: true });
    await writeFile(join(root, 'blobs'), 'a file where the folder should be');
    await expect(store.put('acme', [bytes], { maxBytes: 100 })).rejects.toThrow('ENOTDIR');
    expect(await guard.unlessPinned('acme', hash, async () => 'free')).toBe('free');
  });

  it.each(['ENOSPC', 'EDQUOT'])('answers that there is no space when writing fails with %s', async (code) => {
    const { store, root } = await diskStore();
    const full = Object.assign(new Error('disk full'), { code });
    const inspect = async (): Promise<never> => Promise.reject(full);
    const result = await store.put('acme', [Buffer.alloc(2_000_000)], { maxBytes: 3_000_000, inspect });
    expect(result).toEqual({ stored: false, reason: 'no-space' });
    expect(await filesIn(root)).toEqual([]);
  });

  it('throws when the disk fails otherwise, leaving nothing', async () => {
    const { store, root } = await diskStore();
    await rm(join(root, 'blobs'), { recursive: true });
    await writeFile(join(root, 'blobs'), 'a file where the folder should be');
    await expect(store.put('acme', [bytes], { maxBytes: 100 })).rejects.toThrow('ENOTDIR');
    expect(await readdir(join(root, 'staging'))).toEqual([]);
  });
});
