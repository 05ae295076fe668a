import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OrphanSweeper } from '../../src/jobs/orphan-sweeper.ts';
import { createLogger } from '../../src/lib/logger.ts';
import type { BlobPin, ListedBlob } from '../../src/storage/blob-store.ts';
import { DiskLayout } from '../../src/storage/disk-layout.ts';
import { DiskStore } from '../../src/storage/disk-store.ts';
import { insertUpload } from '../../src/store/uploads.ts';
import { ENGINES } from '../support/temp-store.ts';
import { type Bench, openBench } from './recorder-bench.ts';

const DAY = 86_400_000;

let bench: Bench;
let folder: string;
let storage: DiskStore;
let sweeper: OrphanSweeper;

describe.each(ENGINES)('on %s', (engine) => {
  beforeEach(async () => {
    bench = await openBench(engine);
    folder = await mkdtemp(join(tmpdir(), 'orphans-'));
    storage = new DiskStore({ root: folder, clock: bench.clock });
    await storage.start();
    sweeper = new OrphanSweeper({
      store: bench.store,
      storage,
      clock: bench.clock,
      logger: createLogger('silent'),
    });
  });

  afterEach(async () => {
    await storage.stop();
    await bench.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** The file's time as the clock of the test has it. */
  async function age(path: string): Promise<void> {
    const at = new Date(bench.clock.now());
    await utimes(path, at, at);
  }

  /** Stores a blob as of now; `pin` is released unless it is kept. */
  async function put(tenant: string, bytes = randomBytes(100), keepPin = false) {
    const result = await storage.put(tenant, [bytes], { maxBytes: 1000 });
    if (!result.stored) throw new Error(result.reason);
    if (!keepPin) result.pin.release();
    await age(new DiskLayout(folder).file(tenant, result.sha256));
    return { ...result, bytes };
  }

  const isThere = async (tenant: string, sha256: string) => (await storage.stat(tenant, sha256)) !== null;

  async function name(tenant: string, sha256: string): Promise<void> {
    const about = { filename: 'x.png', mimeType: 'image/png', width: 1, height: 1, bytes: 100, sha256 };
    await insertUpload(bench.store.db, {
      id: sha256,
      tenant,
      user: 'u',
      ...about,
      createdAt: bench.clock.now(),
    });
  }

  describe('sweeping orphans (F6)', () => {
    it('removes a file without a row after a day, and never one that a row names or that is younger', async () => {
      const orphan = await put('a');
      const named = await put('a');
      await name('a', named.sha256);
      const strange = await put('Strange/Tenant');
      const strangeNamed = await put('Strange/Tenant');
      await name('Strange/Tenant', strangeNamed.sha256);
      await bench.clock.advance(DAY - 1000);
      const young = await put('a');
      await sweeper.sweep();
      expect(await isThere('a', orphan.sha256)).toBe(true);
      await bench.clock.advance(2000);
      await sweeper.sweep();
      expect(await isThere('a', orphan.sha256)).toBe(false);
      expect(await isThere('Strange/Tenant', strange.sha256)).toBe(false);
      expect(await isThere('Strange/Tenant', strangeNamed.sha256)).toBe(true);
      expect(await isThere('a', named.sha256)).toBe(true);
      expect(await isThere('a', young.sha256)).toBe(true);
    });

    it('keeps the same content of another tenant apart', async () => {
      const bytes = randomBytes(50);
      await put('a', bytes);
      const { sha256 } = await put('b', bytes);
      await name('b', sha256);
      await bench.clock.advance(2 * DAY);
      await sweeper.sweep();
      expect([await isThere('a', sha256), await isThere('b', sha256)]).toEqual([false, true]);
    });

    it('leaves one that is pinned, and one that is put again while it looks', async () => {
      const pinned = await put('a', randomBytes(10), true);
      const again = await put('a');
      await bench.clock.advance(2 * DAY);
      const remove = storage.remove.bind(storage);
      const pins: BlobPin[] = [];
      // the sweep has seen that it is old; just then the same content is put, and its row is not committed yet
      storage.remove = async (tenant, sha256, ...rest) => {
        if (sha256 === again.sha256) {
          const result = await storage.put('a', [again.bytes], { maxBytes: 1000 });
          if (result.stored) pins.push(result.pin);
        }
        return remove(tenant, sha256, ...rest);
      };
      await sweeper.sweep();
      expect(await isThere('a', again.sha256)).toBe(true);
      expect(await isThere('a', pinned.sha256)).toBe(true);
      for (const pin of [...pins, pinned.pin]) pin.release();
      storage.remove = remove;
      await sweeper.sweep();
      expect([await isThere('a', again.sha256), await isThere('a', pinned.sha256)]).toEqual([false, false]);
    });

    it('goes through more files than one batch, each once', async () => {
      for (let n = 0; n < 130; n++) await put(n % 2 ? 'a' : 'b', Buffer.from(String(n)));
      const listed: string[] = [];
      for (let last: ListedBlob | undefined; ; ) {
        const page = await storage.list(100, last);
        listed.push(...page.map((blob) => `${blob.tenant}/${blob.sha256}`));
        last = page.at(-1);
        if (page.length < 100) break;
      }
      expect([listed.length, new Set(listed).size]).toEqual([130, 130]);
      await bench.clock.advance(2 * DAY);
      await sweeper.sweep();
      expect(await storage.list(1)).toEqual([]);
    });

    it('removes what a dead process left half-written, by age, and not what is being written', async () => {
      const staged = join(folder, 'staging', 'left');
      await writeFile(staged, 'half');
      await age(staged);
      await bench.clock.advance(3_600_001);
      let during: string[] = [];
      const source = (async function* () {
        yield randomBytes(3 * 1024 * 1024);
        for (const file of await readdir(join(folder, 'staging')))
          await utimes(join(folder, 'staging', file), 0, 0);
        await sweeper.sweep();
        during = await readdir(join(folder, 'staging'));
      })();
      const result = await storage.put('a', source, { maxBytes: 1e9 });
      if (result.stored) result.pin.release();
      expect([during.length, result.stored]).toEqual([1, true]);
      expect(await readdir(join(folder, 'staging'))).toEqual([]);
    });

    it('removes orphans although what is half-written cannot be swept away', async () => {
      const orphan = await put('a');
      await bench.clock.advance(2 * DAY);
      storage.sweepStaging = async () => Promise.reject(new Error('AccessDenied'));
      await sweeper.sweep();
      expect(await isThere('a', orphan.sha256)).toBe(false);
    });

    it('leaves what it does not know', async () => {
      const odd = createHash('sha256').update('x').digest('hex');
      await mkdir(join(folder, 'blobs', 'h~unknown', odd.slice(0, 2)), { recursive: true });
      await writeFile(join(folder, 'blobs', 'h~unknown', odd.slice(0, 2), odd), 'x');
      await writeFile(join(folder, 'blobs', 'README'), 'x');
      await bench.clock.advance(9 * DAY);
      await sweeper.sweep();
      expect((await readdir(join(folder, 'blobs', 'h~unknown'), { recursive: true })).length).toBe(2);
    });
  });
});
