/** A volume that is shared and goes away: typed ends that say so, and never a blob that passes for absent. */
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { DiskStore } from '../../src/storage/disk-store.ts';
import { MemoryBlobGuard } from '../../src/storage/memory-blob-guard.ts';
import { sha256, stored } from './blob-store.contract.ts';

const AWAY = { name: 'StorageUnavailable', code: 'STORAGE_UNAVAILABLE' };
const UNAVAILABLE = { stored: false, reason: 'unavailable' };

/** What every call of the file system fails with; null: nothing. */
const broken = vi.hoisted((): { code: string | null } => ({ code: null }));
vi.mock('node:fs/promises', async (load) => {
  const real = await load<typeof import('node:fs/promises')>();
  const failing =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      if (broken.code !== null) throw Object.assign(new Error('it broke'), { code: broken.code });
      return call(...args);
    };
  const names = ['open', 'stat', 'statfs', 'rename', 'unlink', 'mkdir', 'readdir'] as const;
  const all = names.map((name) => [name, failing(real[name] as () => Promise<unknown>)]);
  return { ...real, ...Object.fromEntries(all) };
});

const bytes = Buffer.from('some bytes');
const hash = sha256(bytes);
let folder: string;
let guard: MemoryBlobGuard;
let store: DiskStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'volume-'));
  guard = new MemoryBlobGuard();
  store = new DiskStore({ root: join(folder, 'files'), clock: systemClock, guard });
  await store.start();
  stored(await store.put('acme', [bytes], { maxBytes: 100 })).pin.release();
});
afterEach(async () => {
  broken.code = null;
  await rm(folder, { recursive: true, force: true });
});

const other = Buffer.from('other bytes');
const put = (content = other, size = 100) => store.put('acme', [content], { maxBytes: size });

async function expectAway(): Promise<void> {
  await expect(store.open('acme', hash)).rejects.toMatchObject(AWAY);
  await expect(store.toBuffer('acme', hash, 100)).rejects.toMatchObject(AWAY);
  await expect(store.stat('acme', hash)).rejects.toMatchObject(AWAY);
  await expect(store.remove('acme', hash, async () => true)).rejects.toMatchObject(AWAY);
  await expect(store.freeBytes()).rejects.toMatchObject(AWAY);
  expect(await put()).toEqual(UNAVAILABLE);
  // larger than what is held in memory
  expect(await put(Buffer.alloc(3_000_000), 4_000_000)).toEqual(UNAVAILABLE);
  expect(await guard.unlessPinned('acme', sha256(other), async () => 'free')).toBe('free');
}

describe('a volume', () => {
  it.each(['EIO', 'ESTALE', 'ENOTCONN', 'ETIMEDOUT', 'EHOSTDOWN', 'EROFS'])(
    'that fails with %s is away, and its blobs are there when it is back',
    async (code) => {
      broken.code = code;
      await expectAway();
      broken.code = null;
      expect(await store.toBuffer('acme', hash, 100)).toEqual(bytes);
      stored(await put());
    },
  );

  it('that is not mounted is away, rather than empty', async () => {
    await rename(join(folder, 'files'), join(folder, 'elsewhere'));
    await mkdir(join(folder, 'files'));
    await expectAway();
    await rm(join(folder, 'files'), { recursive: true });
    await rename(join(folder, 'elsewhere'), join(folder, 'files'));
    expect(await store.toBuffer('acme', hash, 100)).toEqual(bytes);
    expect(await store.stat('acme', sha256(other))).toBeNull();
  });

  it('is not to blame for a client that goes away', async () => {
    const gone = Object.assign(new Error('read ETIMEDOUT'), { code: 'ETIMEDOUT' });
    async function* source(): AsyncGenerator<Uint8Array> {
      yield bytes;
      throw gone;
    }
    await expect(store.put('acme', source(), { maxBytes: 100 })).rejects.toBe(gone);
  });
});
