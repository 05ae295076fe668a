/** What jobs make, of every kind: found in Job.outputs, fetched by its signed address, byte for byte. */
import { createHash } from 'node:crypto';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { fileAccess } from '../../src/graphql/file-urls.ts';
import type { JsonObject } from '../../src/lib/json.ts';
import { signingKey, UrlSigner } from '../../src/storage/signed-url.ts';
import { everything } from '../support/graphql-client.ts';
import { noiseInto } from '../support/graphs.ts';
import { ended, follow, type OutputView, submitGraph } from '../support/jobs.ts';
import { sharedGateway } from '../support/running-gateway.ts';

const SECRET = 'a key that only this test knows';
const gateway = sharedGateway({ config: { signingKeys: [SECRET] } });

/** Runs the graph; answers its one output and the bytes that its instance has for it. */
async function outputOf(graph: JsonObject): Promise<{ output: OutputView; original: Buffer }> {
  const { client, instances } = gateway();
  const { id } = await submitGraph(client, graph);
  const job = await ended(client, id);
  expect(job).toMatchObject({ status: 'COMPLETED', error: null });
  expect(job.outputs).toHaveLength(1);
  const [output] = job.outputs;
  const promptId = job.attempts[0]?.promptId ?? '';
  if (!output) throw new Error('no output');
  return { output, original: await originalOf(`${instances[0]?.url}`, promptId) };
}

/** The first file that the instance's history names for the prompt, straight from the instance. */
async function originalOf(instance: string, promptId: string): Promise<Buffer> {
  const answer = (await (await fetch(`${instance}/history/${promptId}`)).json()) as Record<
    string,
    { outputs: Record<string, Record<string, { filename?: string; subfolder?: string; type?: string }[]>> }
  >;
  const items = Object.values(answer[promptId]?.outputs ?? {}).flatMap((ui) => Object.values(ui).flat());
  const file = items.find((item) => item.filename !== undefined);
  if (!file) return Buffer.alloc(0);
  const query = new URLSearchParams(file as Record<string, string>);
  return Buffer.from(await (await fetch(`${instance}/view?${query}`)).arrayBuffer());
}

async function get(url: string | undefined, headers: Record<string, string> = {}, method = 'GET') {
  const response = await fetch(url ?? 'no url', { headers, method });
  return { response, bytes: Buffer.from(await response.arrayBuffer()) };
}

async function expectServed(output: OutputView, original: Buffer): Promise<Buffer> {
  const { response, bytes } = await get(output.url);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe(output.mimeType);
  expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  expect(bytes.length).toBeGreaterThan(0);
  expect(bytes.equals(original)).toBe(true);
  expect(output.bytes).toBe(bytes.length);
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(output.sha256);
  return bytes;
}

const AUDIO: JsonObject = {
  class_type: 'EmptyAudio',
  inputs: { duration: 0.2, sample_rate: 8000, channels: 1 },
};

describe('an output', () => {
  it('that is a picture is an ImageOutput with its size', async () => {
    const { output, original } = await outputOf(noiseInto('SaveImage', { filename_prefix: 'noise' }));
    expect(output).toMatchObject({
      __typename: 'ImageOutput',
      mimeType: 'image/png',
      width: 64,
      height: 64,
      node: '2',
    });
    const bytes = await expectServed(output, original);
    expect((await sharp(bytes).metadata()).format).toBe('png');
  });

  it('that is an animated WebP is an ImageOutput that keeps its frames', async () => {
    const inputs = { filename_prefix: 'moving', fps: 6, lossless: true, quality: 80, method: 'default' };
    const { output, original } = await outputOf(noiseInto('SaveAnimatedWEBP', inputs, 3));
    expect(output).toMatchObject({
      __typename: 'ImageOutput',
      mimeType: 'image/webp',
      width: 64,
      height: 64,
    });
    expect((await sharp(await expectServed(output, original)).metadata()).pages).toBe(3);
  });

  it('that is a video is a FileOutput', async () => {
    const { output, original } = await outputOf({
      '1': { class_type: 'RigNoise', inputs: { width: 64, height: 64, batch: 2, salt: 1 } },
      '2': { class_type: 'CreateVideo', inputs: { images: ['1', 0], fps: 24 } },
      '3': {
        class_type: 'SaveVideo',
        inputs: { video: ['2', 0], filename_prefix: 'film', format: 'auto', codec: 'auto' },
      },
    });
    expect(output).toMatchObject({ __typename: 'FileOutput', mimeType: 'video/mp4', node: '3' });
    await expectServed(output, original);
  });

  it('that is a WebM is a FileOutput too', async () => {
    const inputs = { filename_prefix: 'film', codec: 'vp9', fps: 24, crf: 32 };
    const { output, original } = await outputOf(noiseInto('SaveWEBM', inputs, 2));
    expect(output).toMatchObject({ __typename: 'FileOutput', mimeType: 'video/webm' });
    await expectServed(output, original);
  });

  it('that is sound is a FileOutput', async () => {
    const flac = await outputOf({
      '1': AUDIO,
      '2': { class_type: 'SaveAudio', inputs: { audio: ['1', 0], filename_prefix: 'sound' } },
    });
    expect(flac.output).toMatchObject({ __typename: 'FileOutput', mimeType: 'audio/flac' });
    await expectServed(flac.output, flac.original);
    const mp3 = await outputOf({
      '1': AUDIO,
      '2': {
        class_type: 'SaveAudioMP3',
        inputs: { audio: ['1', 0], filename_prefix: 'sound', quality: 'V0' },
      },
    });
    expect(mp3.output).toMatchObject({ __typename: 'FileOutput', mimeType: 'audio/mpeg' });
    await expectServed(mp3.output, mp3.original);
  });

  it('that is text is a TextOutput, without a file', async () => {
    const { output } = await outputOf({ '1': { class_type: 'RigText', inputs: { text: 'héllo "world"' } } });
    expect(output).toMatchObject({ __typename: 'TextOutput', text: 'héllo "world"', node: '1' });
  });

  it('that is only a temporary preview of PreviewImage is kept all the same', async () => {
    const { output, original } = await outputOf(noiseInto('PreviewImage', {}));
    expect(output).toMatchObject({ __typename: 'ImageOutput', mimeType: 'image/png' });
    await expectServed(output, original);
  });

  it('that a node sends over its socket instead of saving it is kept', async () => {
    const { output } = await outputOf(noiseInto('ETN_SendImageWebSocket', { format: 'PNG' }));
    expect(output).toMatchObject({ __typename: 'ImageOutput', mimeType: 'image/png', width: 64, height: 64 });
    const { bytes } = await get(output.url);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(output.sha256);
  });

  it('is seen as soon as its node has finished, while others still run', async () => {
    const { client } = gateway();
    const { id } = await submitGraph(client, {
      '1': { class_type: 'RigText', inputs: { text: 'early' } },
      '2': { class_type: 'RigSleep', inputs: { seconds: 0.5, steps: 5, preview: 'none', salt: 99 } },
      '3': { class_type: 'PreviewImage', inputs: { images: ['2', 0] } },
    });
    const snapshots = (await everything(follow(client, id))).map((each) => each.job);
    const early = snapshots.find((job) => job.status === 'PROCESSING' && job.outputs.length > 0);
    expect(early?.outputs).toEqual([expect.objectContaining({ text: 'early' })]);
    expect(snapshots.at(-1)?.outputs.map((output) => output.node)).toEqual(['1', '3']);
  });
});

describe('the address of an output', () => {
  const pictureAddress = async () =>
    (await outputOf(noiseInto('SaveImage', { filename_prefix: 'noise' }))).output.url ?? '';

  it('serves ranges, and refuses one that lies outside', async () => {
    const url = await pictureAddress();
    const { bytes: whole } = await get(url);
    const part = await get(url, { range: 'bytes=10-19' });
    expect(part.response.status).toBe(206);
    expect(part.response.headers.get('content-range')).toBe(`bytes 10-19/${whole.length}`);
    expect(part.bytes.equals(whole.subarray(10, 20))).toBe(true);
    const tail = await get(url, { range: 'bytes=-5' });
    expect(tail.bytes.equals(whole.subarray(-5))).toBe(true);
    const outside = await get(url, { range: `bytes=${whole.length}-` });
    expect(outside.response.status).toBe(416);
    expect(outside.response.headers.get('content-range')).toBe(`bytes */${whole.length}`);
  });

  it('answers HEAD without a body and 304 to who has the version', async () => {
    const url = await pictureAddress();
    const { response, bytes } = await get(url);
    const head = await get(url, {}, 'HEAD');
    expect(head.response.status).toBe(200);
    expect(head.response.headers.get('content-length')).toBe(String(bytes.length));
    expect(head.bytes).toHaveLength(0);
    const etag = response.headers.get('etag') ?? '';
    expect(etag).not.toBe('');
    expect((await get(url, { 'if-none-match': etag })).response.status).toBe(304);
    expect((await get(url, { 'if-none-match': '"another"' })).response.status).toBe(200);
  });

  it('is the same within its hour, for caches', async () => {
    const { client } = gateway();
    const { output } = await outputOf(noiseInto('SaveImage', { filename_prefix: 'noise' }));
    const { node } = await client.run<{ node: { url: string } }>(
      'query Node($id: ID!) { node(id: $id) { ... on ImageOutput { url } } }',
      { id: output.id },
    );
    expect(node.url).toBe(output.url);
  });

  it('is refused without, with a changed, a borrowed and an expired signature', async () => {
    const url = new URL(await pictureAddress());
    const other = new URL(await pictureAddress());
    const changed = (change: (url: URL) => void): string => {
      const copy = new URL(url);
      change(copy);
      return copy.href;
    };
    const sig = url.searchParams.get('sig') ?? '';
    const forgeries = [
      changed((copy) => {
        copy.search = '';
      }),
      changed((copy) => copy.searchParams.set('sig', `${sig.startsWith('A') ? 'B' : 'A'}${sig.slice(1)}`)),
      changed((copy) => copy.searchParams.set('sig', other.searchParams.get('sig') ?? '')),
      changed((copy) => copy.searchParams.set('exp', String(Number(url.searchParams.get('exp')) + 3600))),
      changed((copy) => copy.searchParams.set('exp', '1000000000')),
      changed((copy) => copy.searchParams.set('w', '64')),
    ];
    for (const forgery of forgeries) {
      const { response } = await get(forgery);
      expect(response.status).toBe(403);
    }
  });

  it('of a thumbnail gives a small WebP; the data URI holds the picture itself', async () => {
    const { client } = gateway();
    const { output, original } = await outputOf(noiseInto('SaveImage', { filename_prefix: 'noise' }));
    const { node } = await client.run<{ node: { thumbnailUrl: string; dataUri: string } }>(
      'query Node($id: ID!) { node(id: $id) { ... on ImageOutput { thumbnailUrl(width: 32) dataUri } } }',
      { id: output.id },
    );
    const { response, bytes } = await get(node.thumbnailUrl);
    expect(response.headers.get('content-type')).toBe('image/webp');
    expect(await sharp(bytes).metadata()).toMatchObject({ format: 'webp', width: 32, height: 32 });
    expect(node.dataUri).toBe(`data:image/png;base64,${original.toString('base64')}`);
  });

  it('that has expired is refused, though the key that signed it is right', async () => {
    const { url } = gateway();
    const { output } = await outputOf(noiseInto('SaveImage', { filename_prefix: 'noise' }));
    const signer = new UrlSigner([signingKey(SECRET)], 3_600_000);
    const signedAt = (now: number): string =>
      `${url}/files/${output.id}?${signer.sign(fileAccess(output.id), now)}`;
    expect((await get(signedAt(Date.now()))).response.status).toBe(200);
    expect((await get(signedAt(Date.now() - 3 * 3_600_000))).response.status).toBe(403);
  });
});
