import { fileTypeFromBuffer } from 'file-type';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openRig, type Rig } from './run-prompt.ts';

let rig: Rig;
beforeAll(async () => {
  rig = await openRig();
});
afterAll(() => rig.close());

const frames = { class_type: 'RigNoise', inputs: { width: 32, height: 24, batch: 3, salt: 1 } };
const sound = { class_type: 'EmptyAudio', inputs: { duration: 0.5, sample_rate: 44_100, channels: 2 } };
const latent = { class_type: 'EmptyLatentImage', inputs: { width: 64, height: 64, batch_size: 1 } };
const video = { class_type: 'CreateVideo', inputs: { images: ['1', 0], fps: 8 } };

async function saved(class_type: string, inputs: Record<string, unknown>, key = 'images'): Promise<Buffer> {
  const graph = { '1': frames, '2': { class_type, inputs }, '3': sound, '4': latent, '5': video };
  const entry = await rig.run(graph);
  const file = entry.outputs['2']?.[key]?.[0];
  if (!file) throw new Error(`${class_type} saved nothing`);
  const query = new URLSearchParams({ ...file });
  return Buffer.from(await (await rig.get(`/view?${query}`)).arrayBuffer());
}
const typeOf = async (bytes: Buffer) => (await fileTypeFromBuffer(bytes))?.mime;

describe('a media node leaves a file of its kind', () => {
  test('animated WebP with every frame', async () => {
    const file = await saved('SaveAnimatedWEBP', {
      images: ['1', 0],
      filename_prefix: 'm',
      fps: 6,
      lossless: true,
      quality: 80,
      method: 'default',
    });
    expect(await sharp(file, { animated: true }).metadata()).toMatchObject({ format: 'webp', pages: 3 });
  });
  test('animated PNG, whose first frame any reader shows', async () => {
    const file = await saved('SaveAnimatedPNG', {
      images: ['1', 0],
      filename_prefix: 'm',
      fps: 6,
      compress_level: 4,
    });
    expect(await typeOf(file)).toBe('image/apng');
    expect(await sharp(file).metadata()).toMatchObject({ width: 32, height: 24 });
  });
  test('WebM', async () => {
    const file = await saved('SaveWEBM', {
      images: ['1', 0],
      filename_prefix: 'm',
      codec: 'vp9',
      fps: 8,
      crf: 32,
    });
    expect(await typeOf(file)).toBe('video/webm');
  });
  test('MP4', async () => {
    const file = await saved('SaveVideo', {
      video: ['5', 0],
      filename_prefix: 'video/m',
      format: 'auto',
      codec: 'auto',
    });
    expect(await typeOf(file)).toBe('video/mp4');
  });
  test('FLAC, kept or for looking only', async () => {
    const kept = await saved('SaveAudio', { audio: ['3', 0], filename_prefix: 'audio/m' }, 'audio');
    const shown = await saved('PreviewAudio', { audio: ['3', 0] }, 'audio');
    expect([await typeOf(kept), await typeOf(shown)]).toEqual(['audio/flac', 'audio/flac']);
  });
  test('MP3', async () => {
    const file = await saved(
      'SaveAudioMP3',
      { audio: ['3', 0], filename_prefix: 'audio/m', quality: 'V0' },
      'audio',
    );
    expect(await typeOf(file)).toBe('audio/mpeg');
  });
  test('a latent as safetensors', async () => {
    const file = await saved('SaveLatent', { samples: ['4', 0], filename_prefix: 'latents/m' }, 'latents');
    const header = JSON.parse(file.subarray(8, 8 + Number(file.readBigUInt64LE(0))).toString()) as Record<
      string,
      unknown
    >;
    expect(header.latent_tensor).toEqual({ dtype: 'F32', shape: [1, 4, 8, 8], data_offsets: [0, 1024] });
  });
});
