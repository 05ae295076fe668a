import { mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PICTURE_TYPES, probeImage, sniffType } from '../../src/storage/image-probe.ts';
import { animation, type PictureFormat, picture, pngOf } from './pictures.ts';

const FORMATS: readonly PictureFormat[] = ['png', 'jpeg', 'webp', 'gif', 'avif'];
const UPLOADS: readonly PictureFormat[] = ['png', 'jpeg', 'webp'];

describe('probeImage', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pictures-'));
  });

  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  const file = async (name: string, bytes: Uint8Array): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, bytes);
    return path;
  };

  it.each(UPLOADS)('takes a %s picture, from memory and from a file', async (format) => {
    const bytes = await picture(format);
    const facts = { ok: true, mimeType: `image/${format}`, width: 300, height: 200, animated: false };
    expect(await probeImage(bytes, { decode: true })).toEqual(facts);
    expect(await probeImage(await file(`whole.${format}`, bytes), { decode: true })).toEqual(facts);
  });

  it('goes by the content, not by the name', async () => {
    const path = await file('really-a-jpeg.png', await picture('jpeg'));
    expect(await probeImage(path)).toMatchObject({ ok: true, mimeType: 'image/jpeg' });
  });

  it('refuses pictures of other types by their name', async () => {
    expect(await probeImage(await picture('gif'))).toEqual({
      ok: false,
      reason: 'unsupported',
      mimeType: 'image/gif',
    });
    expect(await probeImage(await picture('gif'), { types: PICTURE_TYPES })).toMatchObject({ ok: true });
  });

  it('refuses what is no picture', async () => {
    const others = [
      '',
      'hello',
      '<svg xmlns="http://www.w3.org/2000/svg"/>',
      '<html>',
      '%PDF-1.7\n',
      'PK\x03\x04',
    ];
    for (const text of others) {
      expect(await probeImage(Buffer.from(text, 'latin1'))).toEqual({ ok: false, reason: 'not-an-image' });
    }
  });

  it.each(UPLOADS)('finds a %s picture that ends early, at any place', async (format) => {
    const bytes = await picture(format);
    for (const share of [0.1, 0.5, 0.9, 0.99]) {
      const cut = bytes.subarray(0, Math.floor(bytes.length * share));
      const truncated = { ok: false, reason: 'truncated' };
      expect(await probeImage(cut, { decode: true })).toEqual(truncated);
      expect(await probeImage(await file('cut', cut), { decode: true })).toEqual(truncated);
    }
  });

  it('refuses a picture of too many pixels by its header, even where no pixels follow', async () => {
    const tooLarge = { ok: false, reason: 'too-many-pixels', width: 30_000, height: 30_000 };
    const headerOnly = pngOf(30_000, 30_000, null);
    const bomb = pngOf(30_000, 30_000, new Uint8Array(1_000_000));
    for (const bytes of [headerOnly, bomb]) {
      expect(await probeImage(bytes, { decode: true })).toEqual(tooLarge);
      expect(await probeImage(await file('bomb', bytes), { decode: true })).toEqual(tooLarge);
    }
  });

  it('does not let a bomb that would decode to gigabytes take memory', async () => {
    const bomb = pngOf(30_000, 30_000, new Uint8Array(1_000_000));
    const before = process.memoryUsage().rss;
    for (let n = 0; n < 20; n++) await probeImage(bomb, { decode: true });
    expect(process.memoryUsage().rss - before).toBeLessThan(100_000_000);
  });

  it('takes a picture of exactly the allowed size and refuses a larger one', async () => {
    const bytes = await picture('png', 300, 200);
    expect(await probeImage(bytes, { maxPixels: 60_000 })).toMatchObject({ ok: true });
    expect(await probeImage(bytes, { maxPixels: 59_999 })).toMatchObject({ reason: 'too-many-pixels' });
    expect(await probeImage(bytes, { maxSide: 300 })).toMatchObject({ ok: true });
    expect(await probeImage(bytes, { maxSide: 299 })).toMatchObject({ reason: 'too-many-pixels' });
  });

  it('counts the pixels of every frame of an animation', async () => {
    const bytes = await animation('webp', 5);
    expect(await probeImage(bytes, { decode: true })).toEqual({
      ok: true,
      mimeType: 'image/webp',
      width: 32,
      height: 32,
      animated: true,
    });
    expect(await probeImage(bytes, { maxPixels: 32 * 32 * 5 })).toMatchObject({ ok: true });
    expect(await probeImage(bytes, { maxPixels: 32 * 32 * 5 - 1 })).toMatchObject({
      reason: 'too-many-pixels',
    });
  });

  it('holds no file open and remembers no answer for a path', async () => {
    const path = await file('reused', await picture('png', 40, 30));
    expect(await probeImage(path, { decode: true })).toMatchObject({ width: 40 });
    await file('reused', await picture('png', 50, 30));
    expect(await probeImage(path, { decode: true })).toMatchObject({ width: 50 });
    await rm(path);
    const open = await Promise.all(
      (await readdir('/proc/self/fd').catch(() => [])).map((fd) =>
        readlink(`/proc/self/fd/${fd}`).catch(() => ''),
      ),
    );
    expect(open.filter((target) => target.startsWith(path))).toEqual([]);
  });

  it('throws for a file that is not there', async () => {
    await expect(probeImage(join(folder, 'absent'))).rejects.toThrow('ENOENT');
  });

  it('answers whatever the bytes are', async () => {
    const pictures = await Promise.all(FORMATS.map((format) => picture(format, 20, 20)));
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...pictures),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }),
        async (whole, changes) => {
          const bytes = Buffer.from(whole);
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          const probe = await probeImage(bytes, { types: PICTURE_TYPES, decode: true });
          if (probe.ok) expect(probe.width * probe.height).toBeLessThanOrEqual(50_000_000);
        },
      ),
      { numRuns: 150 },
    );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        expect(await sniffType(bytes)).not.toBe('');
      }),
    );
  });
});
