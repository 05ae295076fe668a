import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { FileRef, Graph, Json } from '../../../src/domain/graph.ts';
import type { Output } from '../../../src/domain/output.ts';
import { type Rig, startRig } from '../rig.ts';

let salt = 1000;

/** A picture (or several) and one node that makes an output of it. */
function graphOf(classType: string, inputs: Record<string, Json>, batch = 1): Graph {
  salt++;
  return {
    '1': { class_type: 'RigNoise', inputs: { width: 16, height: 24, batch, salt } },
    '2': { class_type: classType, inputs: { images: ['1', 0], ...inputs } },
  };
}

async function outputsOf(gateway: Rig, graph: Graph): Promise<Output[]> {
  const id = await gateway.submit(graph, { maxAttempts: 1 });
  expect(await gateway.ended(id)).toMatchObject({ status: 'COMPLETED', error: null });
  return gateway.outputs(id);
}

async function bytesOf(gateway: Rig, output: Output | undefined): Promise<Buffer> {
  const bytes = await gateway.storage.toBuffer('default', output?.sha256 ?? '', 1e8);
  expect(bytes).not.toBeNull();
  return bytes as Buffer;
}

describe('the outputs of a job', () => {
  it('are every picture of a batch, in order', async () => {
    const gateway = await startRig();
    const outputs = await outputsOf(gateway, graphOf('SaveImage', { filename_prefix: 'x' }, 5));
    expect(outputs.map(({ node, ordinal, kind }) => ({ node, ordinal, kind }))).toEqual(
      [0, 1, 2, 3, 4].map((ordinal) => ({ node: '2', ordinal, kind: 'image' })),
    );
    for (const output of outputs) {
      const { width, height, format } = await sharp(await bytesOf(gateway, output)).metadata();
      expect({ width, height, mimeType: `image/${format}` }).toEqual({
        width: output.width,
        height: output.height,
        mimeType: output.mimeType,
      });
    }
  });

  it('are pictures when they are animated WebP', async () => {
    const gateway = await startRig();
    const inputs = { filename_prefix: 'x', fps: 6, lossless: true, quality: 80, method: 'default' };
    const [output] = await outputsOf(gateway, graphOf('SaveAnimatedWEBP', inputs, 3));
    expect(output).toMatchObject({ kind: 'image', mimeType: 'image/webp', width: 16, height: 24 });
  });

  it('are files when they are video', async () => {
    const gateway = await startRig();
    const inputs = { filename_prefix: 'x', codec: 'vp9', fps: 6, crf: 32 };
    const [output] = await outputsOf(gateway, graphOf('SaveWEBM', inputs, 3));
    expect(output).toMatchObject({ kind: 'file', mimeType: 'video/webm', width: null });
    expect(output?.filename).toMatch(/\.webm$/);
  });

  it('are files when they are sound', async () => {
    const gateway = await startRig();
    const [output] = await outputsOf(gateway, {
      '1': { class_type: 'EmptyAudio', inputs: { duration: 0.1, sample_rate: 44100, channels: 2 } },
      '2': { class_type: 'SaveAudio', inputs: { audio: ['1', 0], filename_prefix: 'x' } },
    });
    expect(output).toMatchObject({ kind: 'file', mimeType: 'audio/flac' });
  });

  it('are texts, files and previews side by side; what is neither is left out', async () => {
    const gateway = await startRig();
    const outputs = await outputsOf(gateway, {
      '1': { class_type: 'RigNoise', inputs: { width: 8, height: 8, batch: 1, salt: 5 } },
      '2': { class_type: 'RigMixedOutputs', inputs: { salt: 6 } },
      '3': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
      '4': { class_type: 'PreviewAny', inputs: { source: 'some words' } },
    });
    const seen = outputs.map(({ node, kind, temporary, text }) => ({ node, kind, temporary, text }));
    const sorted = seen.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    expect(sorted).toEqual([
      { node: '2', kind: 'image', temporary: false, text: null },
      { node: '2', kind: 'image', temporary: true, text: null },
      { node: '2', kind: 'text', temporary: false, text: 'mixed' },
      { node: '3', kind: 'image', temporary: true, text: null },
      { node: '4', kind: 'text', temporary: false, text: 'some words' },
    ]);
  });

  it('are those that a node sends over the socket', async () => {
    const gateway = await startRig();
    for (const [classType, inputs] of [
      ['SaveImageWebsocket', {}],
      ['ETN_SendImageWebSocket', { format: 'PNG' }],
    ] as const) {
      const outputs = await outputsOf(gateway, graphOf(classType, inputs, 2));
      expect(outputs).toHaveLength(2);
      expect(outputs[0]).toMatchObject({ node: '2', kind: 'image', mimeType: 'image/png', width: 16 });
    }
  });

  it('say that a result sent over the socket is missing when there is none', async () => {
    const gateway = await startRig({ config: { comfyuiWebsocket: false } });
    const id = await gateway.submit(graphOf('SaveImageWebsocket', {}), { maxAttempts: 1 });
    expect((await gateway.ended(id)).error).toMatchObject({ code: 'OUTPUT_UNAVAILABLE', nodeId: '2' });
  });

  it('are complete when everything came from the cache, in files of their own', async () => {
    const gateway = await startRig();
    const graph = graphOf('SaveImage', { filename_prefix: 'same' });
    const [first] = await outputsOf(gateway, graph);
    const [second] = await outputsOf(gateway, graph);
    expect(second?.sha256).toBeDefined();
    expect(second?.attemptId).not.toBe(first?.attemptId);
    const preview = { ...graph, '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } } };
    await outputsOf(gateway, preview);
    expect(await outputsOf(gateway, preview)).toHaveLength(1);
  });

  it('appear while the job still runs', async () => {
    const gateway = await startRig();
    const id = await gateway.submit({
      '1': { class_type: 'RigText', inputs: { text: 'first' } },
      '2': { class_type: 'RigSleep', inputs: { seconds: 1, steps: 10, preview: 'none', salt: 9 } },
      '3': { class_type: 'SaveImage', inputs: { images: ['2', 0], filename_prefix: 'x' } },
    });
    const heard = await gateway.listen(id);
    await gateway.ended(id);
    const order = heard.flatMap((signal) =>
      signal.kind === 'job' && signal.change.type === 'durable' ? [signal.change.event.type] : [],
    );
    expect(order.filter((type) => type === 'output')).toHaveLength(2);
    expect(order.indexOf('output')).toBeLessThan(order.lastIndexOf('output'));
    expect(order.at(-1)).toBe('finished');
  });

  it('belong to the node of the submitted graph when a node made at run time gave them', async () => {
    const gateway = await startRig();
    const outputs = await outputsOf(gateway, {
      '1': { class_type: 'RigExpand', inputs: { seconds: 0.02, salt: 3, fail: false } },
      '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'x' } },
    });
    expect(outputs.map((output) => output.node)).toEqual(['2']);
  });
});

describe('the files a job takes', () => {
  async function storedPicture(gateway: Rig, as: FileRef['as']): Promise<Json> {
    const picture = sharp({ create: { width: 20, height: 10, channels: 3, background: '#123456' } });
    const put = await gateway.storage.put('default', [await picture.png().toBuffer()], { maxBytes: 1e6 });
    if (!put.stored) throw new Error('not stored');
    put.pin.release();
    return { $file: { sha256: put.sha256, mimeType: 'image/png', as } };
  }
  const load = (image: Json, classType = 'LoadImage'): Graph => ({
    '1': { class_type: classType, inputs: { image } },
    '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'x' } },
  });

  for (const faults of [{}, { uploadRenames: true }]) {
    it(`are uploaded under their content's name, whatever name the instance gives (F25, ${JSON.stringify(faults)})`, async () => {
      const gateway = await startRig({ simulators: [{ faults }] });
      const image = await storedPicture(gateway, 'name');
      const [output] = await outputsOf(gateway, load(image));
      expect(output).toMatchObject({ width: 20, height: 10 });
      await outputsOf(gateway, load(image));
    });
  }

  it('go into the graph as base64 where the node wants it', async () => {
    const gateway = await startRig();
    const image = await storedPicture(gateway, 'base64');
    const [output] = await outputsOf(gateway, load(image, 'ETN_LoadImageBase64'));
    expect(output).toMatchObject({ width: 20, height: 10 });
  });

  it('are uploaded again after the instance was away', async () => {
    const gateway = await startRig();
    const image = await storedPicture(gateway, 'name');
    await outputsOf(gateway, load(image));
    await gateway.simulator.control.restart();
    await outputsOf(gateway, load(image));
  });

  for (const as of ['name', 'base64'] as const) {
    it(`fail the job for good when they are gone (${as})`, async () => {
      const gateway = await startRig();
      const image = { $file: { sha256: 'a'.repeat(64), mimeType: 'image/png', as } };
      const job = await gateway.ended(await gateway.submit(load(image)));
      expect(job).toMatchObject({ status: 'FAILED', attemptCount: 1, error: { code: 'INPUT_UNAVAILABLE' } });
    });
  }
});
