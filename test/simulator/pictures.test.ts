import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cutOut, noise, type Picture, plain } from '../../src/simulator/pictures.ts';
import { openRig, paintPrompt, plainPrompt, type Rig } from './run-prompt.ts';

let rig: Rig;
beforeAll(async () => {
  rig = await openRig();
});
afterAll(() => rig.close());

const pixels = async (file: Buffer): Promise<Buffer> => sharp(file).raw().toBuffer();

describe('text to image', () => {
  test('has the size of the latent and is the same for the same prompt and seed', async () => {
    const file = await rig.file(await rig.run(paintPrompt()), '9');
    await rig.post('/free', { free_memory: true });
    const again = await rig.file(await rig.run(paintPrompt()), '9');
    expect(await sharp(file).metadata()).toMatchObject({ width: 64, height: 48, format: 'png' });
    expect((await pixels(file)).equals(await pixels(again))).toBe(true);
  });

  test('differs with the seed and with the words', async () => {
    const [cat, otherSeed, dog] = [
      await rig.file(await rig.run(paintPrompt({ seed: 1 })), '9'),
      await rig.file(await rig.run(paintPrompt({ seed: 2 })), '9'),
      await rig.file(await rig.run(paintPrompt({ text: 'a dog' })), '9'),
    ];
    expect((await pixels(cat)).equals(await pixels(otherSeed))).toBe(false);
    expect((await pixels(cat)).equals(await pixels(dog))).toBe(false);
  });
});

test('an upscale model makes four times the width and height', async () => {
  const entry = await rig.run({
    ...plainPrompt(255),
    '3': { class_type: 'UpscaleModelLoader', inputs: { model_name: '4x_NMKD-Siax_200k.pth' } },
    '4': { class_type: 'ImageUpscaleWithModel', inputs: { upscale_model: ['3', 0], image: ['1', 0] } },
    '5': { class_type: 'SaveImage', inputs: { images: ['4', 0], filename_prefix: 'big' } },
  });
  expect(await sharp(await rig.file(entry, '5')).metadata()).toMatchObject({ width: 64, height: 64 });
});

describe('removing the background', () => {
  const withSquare = (): Picture => {
    const picture = plain(40, 40, 0xffffff);
    for (let y = 12; y < 28; y += 1) picture.data.fill(20, (y * 40 + 12) * 3, (y * 40 + 28) * 3);
    return picture;
  };
  test.each([
    ['a subject on a plain ground', withSquare()],
    ['a plain picture', plain(40, 40, 0x808080)],
    ['noise', noise(40, 40, 'x')],
  ])('leaves transparent and opaque pixels: %s', (_, picture) => {
    const alpha = [...cutOut(picture).alpha.data];
    expect(alpha).toContain(0);
    expect(alpha).toContain(255);
  });
  test('keeps the subject and drops the ground', () => {
    const { cut } = cutOut(withSquare());
    expect(cut.data[(20 * 40 + 20) * 4 + 3]).toBe(255);
    expect(cut.data[3]).toBe(0);
  });
});

test('an uploaded picture comes back as it was, its transparency as a mask', async () => {
  const original = await sharp({
    create: { width: 8, height: 8, channels: 4, background: { r: 9, g: 80, b: 200, alpha: 0.5 } },
  })
    .png()
    .toBuffer();
  const form = new FormData();
  form.set('image', new Blob([new Uint8Array(original)]), 'in.png');
  await fetch(`${rig.simulator.url}/upload/image`, { method: 'POST', body: form });
  const entry = await rig.run({
    '1': { class_type: 'LoadImage', inputs: { image: 'in.png' } },
    '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'back' } },
    '3': { class_type: 'MaskPreview', inputs: { mask: ['1', 1] } },
  });
  expect([...(await pixels(await rig.file(entry, '2'))).subarray(0, 3)]).toEqual([9, 80, 200]);
  expect((await pixels(await rig.file(entry, '3')))[0]).toBe(127);
});

describe('previews', () => {
  test('are JPEG frames with metadata for who asked for them', async () => {
    const previewing = await openRig({ previewMethod: 'latent' }, { supports_preview_metadata: true });
    await previewing.run(paintPrompt({ steps: 2 }));
    const [frame] = previewing.frames;
    await previewing.close();
    expect(frame?.readUInt32BE(0)).toBe(4);
    const length = frame?.readUInt32BE(4) ?? 0;
    const metadata: unknown = JSON.parse(frame?.subarray(8, 8 + length).toString() ?? '');
    expect(metadata).toMatchObject({ node_id: '3', image_type: 'image/jpeg' });
    expect(await sharp(frame?.subarray(8 + length)).metadata()).toMatchObject({ format: 'jpeg', width: 64 });
  });
  test('are not sent without a preview method', async () => {
    await rig.run(paintPrompt({ seed: 77 }));
    expect(rig.frames).toEqual([]);
  });
});
