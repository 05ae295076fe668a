/** What every blob store promises, run on each implementation. */
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BlobStore, Content, ListedBlob, PutResult } from '../../src/storage/blob-store.ts';

export interface StoreUnderTest {
  readonly store: BlobStore;
  /** Half-written things that lie around: must be none once no put is in progress. */
  readonly leftovers: () => Promise<number>;
  readonly close: () => Promise<void>;
}

const MB = 1024 * 1024;

const inspections = [1000, 3 * MB].flatMap((size) => [
  { size, rarelyRejects: false, when: 'before anything is written' },
  { size, rarelyRejects: true, when: 'while the bytes are written' },
]);

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A source in pieces, which can break off. */
export async function* pieces(
  bytes: Uint8Array,
  size: number,
  failAt = Infinity,
): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += size) {
    if (from >= failAt) throw new Error('the client went away');
    yield bytes.subarray(from, from + size);
  }
}

export function stored<A, R>(result: PutResult<A, R>): Extract<PutResult<A, R>, { stored: true }> {
  if (!result.stored) throw new Error(`not stored: ${result.reason}`);
  return result;
}

/** `create` answers a started, empty store. */
export function blobStoreContract(name: string, create: () => Promise<StoreUnderTest>): void {
  describe(`${name} as a blob store`, () => {
    let under: StoreUnderTest;
    let store: BlobStore;

    beforeEach(async () => {
      under = await create();
      store = under.store;
    });

    afterEach(async () => {
      expect(await under.leftovers()).toBe(0);
      await under.close();
    });

    const put = async (tenant: string, bytes: Uint8Array): Promise<string> => {
      const result = stored(await store.put(tenant, [bytes], { maxBytes: 100 * MB }));
      result.pin.release();
      return result.sha256;
    };

    it.each([0, 1, 1000, MB, MB + 1, 3 * MB + 7])('gives back %i bytes as they came in', async (size) => {
      const bytes = randomBytes(size);
      const result = stored(await store.put('acme', pieces(bytes, 65_536), { maxBytes: size }));
      result.pin.release();
      expect(result).toMatchObject({ sha256: sha256(bytes), bytes: size, inspected: undefined });
      expect(await store.stat('acme', result.sha256)).toEqual({ bytes: size });
      const opened = await store.open('acme', result.sha256);
      expect(opened?.total).toBe(size);
      expect(opened && bytes.equals(await buffer(opened.stream))).toBe(true);
      expect((await store.toBuffer('acme', result.sha256, size))?.equals(bytes)).toBe(true);
    });

    it('reads a part of a blob, both ends included', async () => {
      const hash = await put('acme', Buffer.from('0123456789'));
      const part = await store.open('acme', hash, { start: 2, end: 4 });
      expect(part?.total).toBe(10);
      expect(part && (await buffer(part.stream)).toString()).toBe('234');
      await expect(store.open('acme', hash, { start: 2, end: 10 })).rejects.toThrow('range');
    });

    it('answers null for a blob it does not have, and for one larger than asked for', async () => {
      const absent = sha256(Buffer.from('absent'));
      expect(await store.open('acme', absent)).toBeNull();
      expect(await store.stat('acme', absent)).toBeNull();
      expect(await store.toBuffer('acme', absent, MB)).toBeNull();
      const hash = await put('acme', Buffer.from('12345'));
      expect(await store.toBuffer('acme', hash, 4)).toBeNull();
    });

    it('keeps the blobs of tenants apart, whatever the tenants are called', async () => {
      const bytes = Buffer.from('shared');
      const tenants = ['acme', 'ACME', '../acme', 'a/b', '.', '', 'é☃', 'h~x', 'x'.repeat(300)];
      const hash = await put('acme', bytes);
      for (const tenant of tenants.slice(1)) {
        expect(await store.stat(tenant, hash)).toBeNull();
        expect(await put(tenant, bytes)).toBe(hash);
      }
      expect(await store.remove('acme', hash, async () => true)).toBe('removed');
      for (const tenant of tenants.slice(1)) expect(await store.stat(tenant, hash)).toEqual({ bytes: 6 });
    });

    it('throws for a name that is no hash, before it touches anything', async () => {
      for (const bad of ['', '../../etc/passwd', 'A'.repeat(64), `${'a'.repeat(64)}\n`]) {
        await expect((async () => store.stat('acme', bad))()).rejects.toThrow('SHA-256');
      }
    });

    it.each([1000, 3 * MB])(
      'refuses %i bytes when one less is allowed, and closes the source',
      async (size) => {
        const source = Readable.from(pieces(randomBytes(size), 999));
        const result = await store.put('acme', source, { maxBytes: size - 1 });
        expect(result).toEqual({ stored: false, reason: 'too-large', maxBytes: size - 1 });
        expect(source.destroyed).toBe(true);
      },
    );

    it.each([1000, 3 * MB])('leaves nothing when the source breaks off within %i bytes', async (size) => {
      const bytes = randomBytes(size);
      const source = pieces(bytes, size / 4, size / 2);
      await expect(store.put('acme', source, { maxBytes: size })).rejects.toThrow('the client went away');
      expect(await store.stat('acme', sha256(bytes))).toBeNull();
    });

    it.each(inspections)(
      'stores $size bytes only if inspection lets them pass, $when',
      async ({ size, rarelyRejects }) => {
        const bytes = randomBytes(size);
        const seen: Buffer[] = [];
        const look = async (content: Content): Promise<void> => {
          seen.push(typeof content === 'string' ? await readFile(content) : Buffer.from(content));
        };
        const rejected = await store.put('acme', pieces(bytes, 65_536), {
          maxBytes: size,
          rarelyRejects,
          inspect: async (content, count) => {
            await look(content);
            return { ok: false, rejection: `${count} ugly bytes` };
          },
        });
        expect(rejected).toEqual({ stored: false, reason: 'rejected', rejection: `${size} ugly bytes` });
        expect(await store.stat('acme', sha256(bytes))).toBeNull();

        const passed = await store.put('acme', pieces(bytes, 65_536), {
          maxBytes: size,
          rarelyRejects,
          inspect: async (content) => {
            await look(content);
            return { ok: true, value: { width: 3 } };
          },
        });
        expect(stored(passed).inspected).toEqual({ width: 3 });
        stored(passed).pin.release();
        expect(seen.map((copy) => copy.equals(bytes))).toEqual([true, true]);
      },
    );

    it.each(inspections)(
      'leaves nothing when inspection of $size bytes itself fails, $when',
      async ({ size, rarelyRejects }) => {
        const bytes = randomBytes(size);
        const inspect = async (): Promise<never> => Promise.reject(new Error('the inspector broke'));
        await expect(store.put('acme', [bytes], { maxBytes: size, inspect, rarelyRejects })).rejects.toThrow(
          'inspector',
        );
        expect(await store.stat('acme', sha256(bytes))).toBeNull();
      },
    );

    it('stores the same bytes once when many put them at the same time', async () => {
      for (const size of [1000, 2 * MB]) {
        const bytes = randomBytes(size);
        const results = await Promise.all(
          Array.from({ length: 10 }, (_, n) =>
            store.put('acme', pieces(bytes, 500_000), { maxBytes: size, rarelyRejects: n % 2 === 0 }),
          ),
        );
        for (const result of results) stored(result).pin.release();
        expect((await store.toBuffer('acme', sha256(bytes), size))?.equals(bytes)).toBe(true);
        expect(await store.remove('acme', sha256(bytes), async () => true)).toBe('removed');
        expect(await store.stat('acme', sha256(bytes))).toBeNull();
      }
    });

    it('does not remove a blob until every put of it has released its pin', async () => {
      const bytes = Buffer.from('pinned');
      const first = stored(await store.put('acme', [bytes], { maxBytes: MB }));
      const second = stored(await store.put('acme', [bytes], { maxBytes: MB }));
      const remove = () => store.remove('acme', first.sha256, async () => true);
      expect(await remove()).toBe('in-use');
      first.pin.release();
      first.pin.release();
      expect(await remove()).toBe('in-use');
      second.pin.release();
      expect(await remove()).toBe('removed');
      expect(await remove()).toBe('absent');
    });

    it('does not remove a blob that a row still names', async () => {
      const hash = await put('acme', Buffer.from('named'));
      expect(await store.remove('acme', hash, async () => false)).toBe('referenced');
      expect(await store.stat('acme', hash)).toEqual({ bytes: 5 });
    });

    it('stores a blob anew when it is put while being removed', async () => {
      const bytes = Buffer.from('contested');
      const hash = await put('acme', bytes);
      let putting: Promise<PutResult> | undefined;
      const removing = store.remove('acme', hash, async () => {
        putting = store.put('acme', [bytes], { maxBytes: MB });
        // Gives the put every chance to find the old blob and count on it.
        for (let turn = 0; turn < 50; turn++) await store.stat('acme', hash);
        return true;
      });
      expect(await removing).toBe('removed');
      const result = putting && stored(await putting);
      expect(await store.stat('acme', hash)).toEqual({ bytes: 9 });
      result?.pin.release();
    });

    it('does not remove a blob that was put too recently for the asker', async () => {
      const before = Date.now() - 60_000;
      const hash = await put('acme', Buffer.from('young'));
      expect(await store.remove('acme', hash, async () => true, before)).toBe('in-use');
      expect(await store.remove('acme', hash, async () => true, Date.now() + 60_000)).toBe('removed');
    });

    it('lists its blobs in pages, each once, with the tenants as they are called', async () => {
      const expected: string[] = [];
      for (const tenant of ['acme', 'Other/Tenant', 'zoo']) {
        for (let n = 0; n < 7; n++) {
          expected.push(`${tenant} ${await put(tenant, Buffer.from(`${tenant}${n}`))}`);
        }
      }
      const listed: ListedBlob[] = [];
      for (;;) {
        const page = await store.list(4, listed.at(-1));
        listed.push(...page);
        if (page.length < 4) break;
      }
      expect(listed.map(({ tenant, sha256 }) => `${tenant} ${sha256}`).sort()).toEqual(expected.sort());
      const [first] = listed;
      expect(first?.bytes).toBe(first && (await store.stat(first.tenant, first.sha256))?.bytes);
      expect(Math.abs(Date.now() - (first?.storedAt ?? 0))).toBeLessThan(60_000);
    });

    it('does not sweep away what is being put', async () => {
      const bytes = randomBytes(3 * MB);
      const source = (async function* () {
        yield bytes.subarray(0, 2 * MB);
        expect(await store.sweepStaging(0)).toBe(0);
        yield bytes.subarray(2 * MB);
      })();
      const result = stored(await store.put('acme', source, { maxBytes: 3 * MB }));
      result.pin.release();
      expect(await store.stat('acme', result.sha256)).toEqual({ bytes: 3 * MB });
    });

    it('lets a reader finish a blob that is removed meanwhile', async () => {
      const bytes = randomBytes(2 * MB);
      const hash = await put('acme', bytes);
      const opened = await store.open('acme', hash);
      expect(await store.remove('acme', hash, async () => true)).toBe('removed');
      expect(opened && bytes.equals(await buffer(opened.stream))).toBe(true);
    });

    it('knows how much still fits, if there is a limit', async () => {
      const free = await store.freeBytes();
      expect(free === null || free > 0).toBe(true);
    });
  });
}
