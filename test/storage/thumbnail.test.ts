import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { probeImage } from '../../src/storage/image-probe.ts';
import { thumbnail } from '../../src/storage/thumbnail.ts';
import { animation, picture, pngOf } from './pictures.ts';

const sizeOf = async (bytes: Buffer | null) => (bytes ? await probeImage(bytes, { decode: true }) : null);

describe('thumbnail', () => {
  it('makes a WebP of the asked width that keeps the shape', async () => {
    expect(await sizeOf(await thumbnail(await picture('png', 300, 200), 150))).toMatchObject({
      mimeType: 'image/webp',
      width: 150,
      height: 100,
    });
  });

  it('never enlarges', async () => {
    expect(await sizeOf(await thumbnail(await picture('jpeg', 30, 20), 150))).toMatchObject({
      width: 30,
      height: 20,
    });
  });

  it('turns a picture upright and leaves its metadata out', async () => {
    const lying = await sharp(await picture('jpeg', 300, 200))
      .withMetadata({ orientation: 6 })
      .toBuffer();
    const small = await thumbnail(lying, 100);
    expect(await sizeOf(small)).toMatchObject({ width: 100, height: 150 });
    expect((await sharp(small ?? Buffer.alloc(0)).metadata()).exif).toBeUndefined();
  });

  it('shows the first frame of an animation', async () => {
    expect(await sizeOf(await thumbnail(await animation('gif', 3), 16))).toMatchObject({
      width: 16,
      height: 16,
      animated: false,
    });
  });

  it('answers null for what cannot be decoded or has too many pixels', async () => {
    expect(await thumbnail(Buffer.from('hello'), 100)).toBeNull();
    expect(await thumbnail(pngOf(30_000, 30_000, new Uint8Array(1000)), 100)).toBeNull();
    expect(await thumbnail(await picture('png', 300, 200), 100, { maxPixels: 100 })).toBeNull();
  });
});
