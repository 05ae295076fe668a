import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import type { BlobStore } from '../../src/storage/blob-store.ts';
import { createStorage } from '../../src/storage/create-storage.ts';
import { MemoryBlobGuard } from '../../src/storage/memory-blob-guard.ts';
import { stored } from './blob-store.contract.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'create-storage-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function create(storageUrl: string | undefined, guard = new MemoryBlobGuard()): BlobStore {
  const config = { storageUrl, databaseUrl: undefined, dataDir: join(folder, 'data') };
  return createStorage({ config, clock: systemClock, guard, logger: createLogger('silent') });
}

async function putOne(storage: BlobStore): Promise<string> {
  await storage.start();
  return stored(await storage.put('acme', [Buffer.from('bytes')], { maxBytes: 100 })).sha256;
}

describe('createStorage', () => {
  it('stores under the data folder when nothing else is said', async () => {
    await putOne(create(undefined));
    expect(await readdir(join(folder, 'data', 'files'))).toEqual(['blobs', 'staging']);
  });

  it('stores on the volume that a file URL names, whatever letters are in its path', async () => {
    const volume = join(folder, 'a volume é');
    await putOne(create(pathToFileURL(volume).href));
    expect((await readdir(volume)).sort()).toEqual(['blobs', 'staging']);
    expect(await readdir(folder)).toEqual(['a volume é']);
  });

  it('shares what is stored, and the guard of it, with whoever has the same volume', async () => {
    const guard = new MemoryBlobGuard();
    const [one, other] = [
      create(pathToFileURL(folder).href, guard),
      create(pathToFileURL(folder).href, guard),
    ];
    const sha256 = await putOne(one);
    expect(await other.stat('acme', sha256)).toEqual({ bytes: 5 });
    // pinned by the one
    expect(await other.remove('acme', sha256, async () => true)).toBe('in-use');
  });

  it('refuses a file URL with a host', () => {
    expect(() => create('file://server/volume')).toThrow('STORAGE_URL: a file URL names no host');
  });
});
