import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ENGINES } from '../support/temp-store.ts';
import { fileOf, openRig, picture, type Rig, stranger, viewer } from './submission-rig.ts';

let rig: Rig;
describe.each(ENGINES)('on %s', (engine) => {
  beforeEach(async () => {
    rig = await openRig(engine);
  });
  afterEach(() => rig.close());

  describe('uploads', () => {
    it.each(['png', 'jpeg', 'webp'] as const)(
      'store a %s under its content hash, its type read from the bytes',
      async (format) => {
        const bytes = await picture(9, format);
        const sha256 = createHash('sha256').update(bytes).digest('hex');
        const result = await rig.uploads.upload(viewer, fileOf(bytes, 'claims-to-be.gif'));
        expect(result).toMatchObject({
          kind: 'stored',
          upload: {
            ...{ sha256, mimeType: `image/${format}`, width: 8, height: 8, bytes: bytes.length },
            ...{ filename: 'claims-to-be.gif', tenant: 'default', user: null, createdAt: rig.clock.now() },
          },
        });
        expect(await rig.storage.toBuffer('default', sha256, 10_000)).toEqual(bytes);
      },
    );

    it('are found by their tenant alone', async () => {
      const result = await rig.uploads.upload(viewer, fileOf(await picture(1)));
      const id = result.kind === 'stored' ? result.upload.id : '';
      expect(await rig.uploads.find(viewer, id)).toMatchObject({ id });
      expect(await rig.uploads.find(stranger, id)).toBeNull();
    });

    it('of one picture twice share the bytes', async () => {
      const bytes = await picture(1);
      const [a, b] = [
        await rig.uploads.upload(viewer, fileOf(bytes)),
        await rig.uploads.upload(viewer, fileOf(bytes)),
      ];
      if (a.kind !== 'stored' || b.kind !== 'stored') throw new Error('both are stored');
      expect(a.upload.id).not.toBe(b.upload.id);
      expect(a.upload.sha256).toBe(b.upload.sha256);
    });

    it('refuse what is no picture, too large, too many pixels or cut off, and leave nothing behind', async () => {
      const png = await picture(1);
      const noise = Buffer.alloc(1_000_001, 7);
      const wide = await picture(1, 'png', 1_001);
      const refuse = (bytes: Uint8Array) => rig.uploads.upload(viewer, fileOf(bytes));
      const accepted = ['image/png', 'image/jpeg', 'image/webp'];
      expect(await refuse(Buffer.from('<html>'))).toEqual({ kind: 'unsupported', accepted });
      expect(await refuse(Buffer.alloc(0))).toEqual({ kind: 'unsupported', accepted });
      expect(await refuse(Buffer.from('GIF89a\x01\x00\x01\x00\x00\x00\x00;'))).toEqual({
        kind: 'unsupported',
        accepted,
      });
      expect(await refuse(noise)).toEqual({ kind: 'too-large', maxBytes: 1_000_000 });
      expect(await refuse(wide)).toEqual({
        kind: 'too-many-pixels',
        width: 1_001,
        height: 1_001,
        maxPixels: 1_000_000,
      });
      expect(await refuse(png.subarray(0, png.length - 30))).toMatchObject({
        kind: 'invalid',
        issues: [{ path: ['file'] }],
      });
      expect(await rig.count('uploads')).toBe(0);
      expect(await filesIn(rig)).toEqual([]);
    });

    it('that the transport cut at its own limit are too large', async () => {
      const file = { ...fileOf(await picture(1)), truncated: () => true };
      expect(await rig.uploads.upload(viewer, file)).toEqual({ kind: 'too-large', maxBytes: 1_000_000 });
      const failing = {
        filename: null,
        stream: failWith(Object.assign(new Error('too big'), { status: 413 })),
      };
      expect(await rig.uploads.upload(viewer, failing)).toEqual({ kind: 'too-large', maxBytes: 1_000_000 });
    });

    it('throw on what the stream throws, and leave nothing behind', async () => {
      const gone = { filename: null, stream: failWith(new Error('client left')) };
      await expect(rig.uploads.upload(viewer, gone)).rejects.toThrow('client left');
      expect(await filesIn(rig)).toEqual([]);
    });

    it('that were received can be dropped, unless something else refers to the bytes', async () => {
      const bytes = await picture(1);
      const first = await rig.uploads.receive(viewer, fileOf(bytes), []);
      if (first.kind !== 'received') throw new Error('is received');
      await first.file.drop();
      expect(await rig.storage.stat('default', first.file.sha256)).toBeNull();
      await rig.uploads.upload(viewer, fileOf(bytes));
      const second = await rig.uploads.receive(viewer, fileOf(bytes), []);
      if (second.kind !== 'received') throw new Error('is received');
      await second.file.drop();
      expect(await rig.storage.stat('default', second.file.sha256)).not.toBeNull();
    });
  });

  async function* failWith(error: Error): AsyncGenerator<Uint8Array> {
    yield await picture(1);
    throw error;
  }

  /** Names of all files below the storage folder. */
  async function filesIn({ filesDir }: Rig): Promise<string[]> {
    return (await readdir(filesDir, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name);
  }
});
