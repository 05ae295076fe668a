import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileRefsOf } from '../../src/domain/file-refs.ts';
import type { Job } from '../../src/domain/job.ts';
import type { SentValue } from '../../src/jobs/sources.ts';
import type { SubmitRequest, SubmitResult } from '../../src/jobs/submission.ts';
import type { JsonObject } from '../../src/lib/json.ts';
import { findGraph } from '../../src/store/jobs.ts';
import { ENGINES } from '../support/temp-store.ts';
import { config, fileOf, openRig, picture, type Rig, stranger, viewer } from './submission-rig.ts';

let rig: Rig;
describe.each(ENGINES)('on %s', (engine) => {
  beforeEach(async () => {
    rig = await openRig(engine);
  });
  afterEach(() => rig.close());

  const submit = (request: SubmitRequest): Promise<SubmitResult> => rig.submitter.submit(viewer, request);
  const cat = { workflow: 'generateImage', inputs: { prompt: 'a cat' } };

  async function submitted(request: SubmitRequest): Promise<Job> {
    const result = await submit(request);
    if (result.kind !== 'submitted') throw new Error(`not submitted: ${JSON.stringify(result)}`);
    return result.job;
  }

  async function storedUpload(red = 1): Promise<string> {
    const result = await rig.uploads.upload(viewer, fileOf(await picture(red)));
    if (result.kind !== 'stored') throw new Error(`not stored: ${result.kind}`);
    return result.upload.id;
  }

  const dataUri = async (red: number): Promise<string> =>
    `data:image/png;base64,${(await picture(red)).toString('base64')}`;

  describe('a submission', () => {
    it('becomes a waiting job with the bound graph, drawn defaults and the options of the configuration', async () => {
      const job = await submitted(cat);
      expect(job).toMatchObject({
        ...{ status: 'PENDING', workflow: 'generateImage', priority: 5, labels: {}, tenant: 'default' },
        ...{ timeoutMs: 300_000, maxAttempts: 3, deadlineAt: null, retryOf: null },
        inputs: { prompt: 'a cat', seed: Math.floor((2 ** 53 - 1) / 4), sampler: 'euler_ancestral' },
      });
      expect(await findGraph(rig.store.db, job.id)).toMatchObject({ '6': { inputs: { text: 'a cat' } } });
    });

    it('carries its own options', async () => {
      const options = {
        priority: 10,
        labels: { team: 'a' },
        timeoutMs: 1_000,
        deadlineMs: 60_000,
        maxAttempts: 1,
      };
      expect(await submitted({ ...cat, ...options })).toMatchObject({
        ...{ priority: 10, labels: { team: 'a' }, timeoutMs: 1_000, maxAttempts: 1 },
        deadlineAt: rig.clock.now() + 60_000,
      });
    });

    it('stores a picture once as an upload and refers to it by id, never by its bytes', async () => {
      const image = { upload: fileOf(await picture(3)) };
      const job = await submitted({ workflow: 'upscaleImage', inputs: { image } });
      const [upload] = await rig.store.db.selectFrom('uploads').selectAll().execute();
      expect(job.inputs).toEqual({ image: { uploadId: upload?.id } });
      expect(await findGraph(rig.store.db, job.id)).toMatchObject({
        '1': { inputs: { image: { $file: { sha256: upload?.sha256, mimeType: 'image/png', as: 'name' } } } },
      });
      expect(await rig.count('job_files')).toBe(1);
    });

    it('takes a picture as data URI, whose base64 is kept nowhere', async () => {
      const uri = await dataUri(3);
      const job = await submitted({ workflow: 'removeBackground', inputs: { image: { dataUri: uri } } });
      const graph = JSON.stringify(await findGraph(rig.store.db, job.id));
      expect(graph).toContain('"as":"base64"');
      expect(graph + JSON.stringify(job.inputs)).not.toContain(uri.slice(30, 60));
    });

    it('takes an earlier upload, in a workflow and in a raw graph, without another upload', async () => {
      const uploadId = await storedUpload();
      const job = await submitted({ workflow: 'upscaleImage', inputs: { image: { uploadId, url: null } } });
      expect(job.inputs).toEqual({ image: { uploadId } });
      const raw = await submitted({
        graph: {
          a: { class_type: 'LoadImage', inputs: { image: { $file: { uploadId } } } },
          b: { class_type: 'ETN_LoadMaskBase64', inputs: { mask: { $file: { uploadId } } } },
        },
      });
      expect(raw).toMatchObject({ workflow: 'raw', inputs: {} });
      const graph = await findGraph(rig.store.db, raw.id);
      expect(fileRefsOf(graph ?? {}).map((ref) => ref.as)).toEqual(['name', 'base64']);
      expect(await rig.count('uploads')).toBe(1);
    });

    it('is refused when what it takes is removed while another of its pictures still comes', async () => {
      const uploadId = await storedUpload();
      const other = await picture(2);
      async function* slowly(): AsyncGenerator<Uint8Array> {
        yield other.subarray(0, 50);
        await rig.store.db.deleteFrom('uploads').where('id', '=', uploadId).execute();
        yield other.subarray(50);
      }
      const load = (image: SentValue) => ({ class_type: 'LoadImage', inputs: { image: { $file: image } } });
      const graph = { a: load({ uploadId }), b: load({ upload: { filename: null, stream: slowly() } }) };
      expect(await submit({ graph })).toEqual({
        kind: 'invalid',
        issues: [
          { path: ['graph', 'a', 'inputs', 'image', '$file', 'uploadId'], message: 'names no upload' },
        ],
      });
      expect(await rig.count('jobs')).toBe(0);
    });

    it('fetches a picture by URL into an upload', async () => {
      const bytes = await picture(4);
      const server = createServer((_request, response) => response.end(bytes));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      const submitter = rig.submitterWith({ config: { ...config, allowPrivateImageUrls: true } });
      const inputs = { image: { url: `http://127.0.0.1:${port}/cat.png` } };
      const result = await submitter.submit(viewer, { workflow: 'upscaleImage', inputs });
      await new Promise((resolve) => server.close(resolve));
      const [upload] = await rig.store.db.selectFrom('uploads').selectAll().execute();
      expect(upload).toMatchObject({ filename: 'cat.png', bytes: bytes.length });
      expect(result).toMatchObject({
        kind: 'submitted',
        job: { inputs: { image: { uploadId: upload?.id } } },
      });
      expect(rig.clock.pending).toBe(0);
    });

    it('takes a picture that an earlier job made, and nothing else of its outputs', async () => {
      const { id: job_id } = await submitted(cat);
      const made = {
        job_id,
        attempt_id: 'a',
        tenant: 'default',
        node: '9',
        temporary: 0,
        created_at: 1,
      } as const;
      const nothing = { filename: null, bytes: null, width: null, height: null, text: null };
      await rig.store.db
        .insertInto('outputs')
        .values([
          { ...made, ...nothing, id: 'o1', ordinal: 0, kind: 'image', mime_type: 'image/png', sha256: 'ab' },
          { ...made, ...nothing, id: 'o2', ordinal: 1, kind: 'text', mime_type: 'text/plain', sha256: null },
        ])
        .execute();
      const upscale = (outputId: string): SubmitRequest => ({
        workflow: 'upscaleImage',
        inputs: { image: { outputId } },
      });
      const job = await submitted(upscale('o1'));
      expect(job.inputs).toEqual({ image: { outputId: 'o1' } });
      expect(fileRefsOf((await findGraph(rig.store.db, job.id)) ?? {})).toEqual([
        { sha256: 'ab', mimeType: 'image/png', as: 'name' },
      ]);
      expect(await submit(upscale('o2'))).toEqual({
        kind: 'invalid',
        issues: [{ path: ['inputs', 'image', 'outputId'], message: 'names an output that is no picture' }],
      });
      expect(await rig.submitter.submit(stranger, upscale('o1'))).toMatchObject({ kind: 'invalid' });
    });

    it('submitted twice makes two jobs', async () => {
      const [a, b] = [await submitted(cat), await submitted(cat)];
      expect(a.id).not.toBe(b.id);
    });
  });

  describe('bad input', () => {
    afterEach(async () => {
      expect(await rig.count('jobs')).toBe(0);
      expect(await rig.count('uploads')).toBe(0);
    });

    async function pathsOf(request: SubmitRequest): Promise<string[]> {
      const result = await submit(request);
      if (result.kind !== 'invalid') throw new Error(`not invalid: ${result.kind}`);
      for (const issue of result.issues) expect(issue.message).toMatch(/^[a-z]/);
      return result.issues.map((issue) => issue.path.join('.'));
    }

    it('names an unknown workflow, and both or neither of workflow and graph', async () => {
      expect(await pathsOf({ workflow: 'paintCat' })).toEqual(['workflow']);
      expect(await pathsOf({})).toEqual(['']);
      expect(await pathsOf({ workflow: null, graph: null })).toEqual(['']);
      expect(await pathsOf({ ...cat, graph: {} })).toEqual(['']);
    });

    it('reports options and inputs together', async () => {
      const inputs = { prompt: 5, widht: 1 };
      const options = { priority: 11, timeoutMs: 0, deadlineMs: 1e12, maxAttempts: 1.5, idempotencyKey: '' };
      const labels = { ok: 'x', list: ['x'], '': 'x' } as JsonObject;
      expect((await pathsOf({ workflow: 'generateImage', inputs, labels, ...options })).sort()).toEqual([
        ...['deadlineMs', 'idempotencyKey', 'inputs.prompt', 'inputs.widht', 'labels.', 'labels.list'],
        ...['maxAttempts', 'priority', 'timeoutMs'],
      ]);
    });

    it('points into an image source', async () => {
      const image = (source: JsonObject): Promise<string[]> =>
        pathsOf({ workflow: 'upscaleImage', inputs: { image: source } });
      expect(await image({})).toEqual(['inputs.image']);
      expect(await image({ uploadId: 'a', url: 'b' })).toEqual(['inputs.image']);
      expect(await image({ uploadId: 'nothing' })).toEqual(['inputs.image.uploadId']);
      expect(await image({ outputId: 'nothing' })).toEqual(['inputs.image.outputId']);
      expect(await image({ outputId: 5 })).toEqual(['inputs.image.outputId']);
      expect(await image({ url: 'file:///etc/passwd' })).toEqual(['inputs.image.url']);
      expect(await image({ url: 'http://127.0.0.1/x.png' })).toEqual(['inputs.image.url']);
      expect(await image({ dataUri: 'data:text/plain,hello' })).toEqual(['inputs.image.dataUri']);
      expect(await image({ upload: { stream: 'x' } })).toEqual(['inputs.image.upload']);
      expect(await image({ path: '/etc/passwd' })).toEqual(['inputs.image.path']);
      expect(await pathsOf({ workflow: 'upscaleImage', inputs: { image: 'x.png' } })).toEqual([
        'inputs.image',
      ]);
      expect(await pathsOf({ workflow: 'upscaleImage', inputs: {} })).toEqual(['inputs.image']);
    });

    it('is a picture where a text belongs', async () => {
      const inputs = { prompt: { upload: fileOf(await picture(1)) } };
      expect(await pathsOf({ workflow: 'generateImage', inputs })).toEqual(['inputs.prompt']);
    });

    it('is a raw graph that is none, or whose nodes cannot run', async () => {
      expect(await pathsOf({ graph: [] })).toEqual(['graph']);
      expect(await pathsOf({ graph: { '1': { class_type: 'X', inputs: {} } }, inputs: { a: 1 } })).toEqual([
        'inputs',
      ]);
      const file = { class_type: 'LoadImage', inputs: { image: { $file: { uploadId: 'nothing' } } } };
      expect(await pathsOf({ graph: { '1': file } })).toEqual(['graph.1.inputs.image.$file.uploadId']);
      const dangling = { class_type: 'LoadImage', inputs: { image: '../x', undeclared: ['9', 0] } };
      expect(await submit({ graph: { '1': dangling } })).toMatchObject({
        kind: 'workflow-invalid',
        nodeErrors: [
          { nodeId: '1', nodeType: 'LoadImage', message: expect.stringContaining("'image'") },
          { nodeId: '1', nodeType: 'LoadImage', message: expect.stringContaining("node '9'") },
        ],
      });
    });

    it('reads no byte of a file before the rest is right', async () => {
      let read = false;
      const stream = (async function* () {
        read = true;
        yield await picture(1);
      })();
      const upload = { filename: null, stream };
      expect(await pathsOf({ workflow: 'upscaleImage', inputs: { image: { upload } }, priority: 0 })).toEqual(
        ['priority'],
      );
      expect(read).toBe(false);
    });

    it('is a file that is no picture, too large or damaged', async () => {
      const submitFile = async (bytes: Buffer): Promise<SubmitResult> =>
        submit({ workflow: 'upscaleImage', inputs: { image: { upload: fileOf(bytes) } } });
      expect(await submitFile(Buffer.from('hello'))).toMatchObject({ kind: 'unsupported' });
      expect(await submitFile(Buffer.alloc(config.maxUploadBytes + 1))).toMatchObject({ kind: 'too-large' });
      expect(await submitFile((await picture(1)).subarray(0, 60))).toMatchObject({
        kind: 'invalid',
        issues: [{ path: ['inputs', 'image', 'upload'] }],
      });
      const huge = `data:image/png;base64,${'A'.repeat(1_400_000)}`;
      expect(await submit({ workflow: 'upscaleImage', inputs: { image: { dataUri: huge } } })).toMatchObject({
        kind: 'too-large',
      });
    });

    it('drops the good picture of a submission whose other one is bad', async () => {
      const graph = {
        '1': { class_type: 'LoadImage', inputs: { image: { $file: { dataUri: await dataUri(1) } } } },
        '2': { class_type: 'LoadImage', inputs: { image: { $file: { dataUri: 'data:x;base64,AAAA' } } } },
      };
      expect(await submit({ graph })).toMatchObject({ kind: 'unsupported' });
    });
  });

  it("keeps other tenants' uploads out of reach", async () => {
    const uploadId = await storedUpload();
    const request = { workflow: 'upscaleImage', inputs: { image: { uploadId } } };
    expect(await rig.submitter.submit(stranger, request)).toMatchObject({
      kind: 'invalid',
      issues: [{ path: ['inputs', 'image', 'uploadId'] }],
    });
  });

  describe('a fleet that cannot run it', () => {
    const upscale = async (): Promise<SubmitResult> =>
      submit({ workflow: 'upscaleImage', inputs: { image: { uploadId: await storedUpload() } } });
    const nodeTypes = ['ImageUpscaleWithModel', 'LoadImage', 'SaveImage', 'UpscaleModelLoader'];
    const model = { kind: 'upscale_models', name: '4x_NMKD-Siax_200k.pth' };

    it('refuses only when every instance has said what it has and none has enough', async () => {
      expect((await upscale()).kind).toBe('submitted');
      await rig.addInstance('gpu1', { nodeTypes: ['SaveImage'], models: [] });
      await rig.addInstance('gpu2', { nodeTypes, models: [] });
      expect(await upscale()).toEqual({
        kind: 'not-runnable',
        missing: { nodeTypes: [], models: [model.name] },
        closest: null,
      });
      await rig.addInstance('gpu3', null);
      expect((await upscale()).kind).toBe('submitted');
    });

    it('accepts what one instance can run', async () => {
      await rig.addInstance('gpu1', { nodeTypes: ['SaveImage'], models: [] });
      await rig.addInstance('gpu2', { nodeTypes, models: [model] });
      expect((await upscale()).kind).toBe('submitted');
    });

    it('gives the model input its first checkpoint', async () => {
      const models = [
        model,
        { kind: 'checkpoints', name: 'a.safetensors' },
        { kind: 'checkpoints', name: 'b.ckpt' },
      ];
      const nodes = [
        'CLIPTextEncode',
        'CheckpointLoaderSimple',
        'EmptyLatentImage',
        'KSampler',
        'SaveImage',
        'VAEDecode',
      ];
      await rig.addInstance('gpu1', { nodeTypes: nodes, models });
      expect((await submitted(cat)).inputs.model).toBe('a.safetensors');
      expect(await submit({ ...cat, inputs: { prompt: 'x', model: 'c.ckpt' } })).toMatchObject({
        kind: 'not-runnable',
        missing: { models: ['c.ckpt'] },
      });
    });
  });

  describe('an idempotency key', () => {
    const key = { idempotencyKey: 'k' };
    const withImage = async (red: number): Promise<SubmitRequest> => ({
      ...{ workflow: 'upscaleImage', ...key },
      inputs: { image: { upload: fileOf(await picture(red)) } },
    });

    it('gives the first job again for the same body, random defaults notwithstanding', async () => {
      const first = await submitted({ ...cat, ...key });
      let drawn = 0;
      const submitter = rig.submitterWith({ random: () => 0.9 + ++drawn / 1_000 });
      const again = await submitter.submit(viewer, {
        ...cat,
        ...key,
        inputs: { prompt: 'a cat', seed: null },
        priority: 5,
      });
      expect(again).toMatchObject({ kind: 'submitted', job: { id: first.id, inputs: first.inputs } });
    });

    it.each<[string, SubmitRequest]>([
      ['other inputs', { ...cat, inputs: { prompt: 'a dog' } }],
      ['another priority', { ...cat, priority: 6 }],
      ['other labels', { ...cat, labels: { a: 'b' } }],
      ['another timeout', { ...cat, timeoutMs: 1 }],
      ['a deadline', { ...cat, deadlineMs: 1 }],
      ['more attempts', { ...cat, maxAttempts: 9 }],
      ['a graph', { graph: { '1': { class_type: 'SaveImage', inputs: {} } } }],
    ])('refuses %s', async (_what, request) => {
      const first = await submitted({ ...cat, ...key });
      expect(await submit({ ...request, ...key })).toMatchObject({ kind: 'conflict', job: { id: first.id } });
      expect(await rig.count('jobs')).toBe(1);
    });

    it('compares a file by its bytes and stores a repeated one no second time', async () => {
      const first = await submitted(await withImage(1));
      expect(await submitted(await withImage(1))).toMatchObject({ id: first.id });
      expect(await submit(await withImage(2))).toMatchObject({ kind: 'conflict' });
      expect(await rig.count('uploads')).toBe(1);
    });

    it('belongs to its tenant and holds for 24 hours', async () => {
      const first = await submitted({ ...cat, ...key });
      expect(await rig.submitter.submit(stranger, { ...cat, ...key })).toMatchObject({
        job: { tenant: 'other' },
      });
      await rig.clock.advance(24 * 3_600_000 - 1);
      expect(await submitted({ ...cat, ...key })).toMatchObject({ id: first.id });
      await rig.clock.advance(1);
      expect((await submitted({ ...cat, ...key })).id).not.toBe(first.id);
    });

    it('answers with its job though the fleet could not run it any more and the queue is full', async () => {
      const first = await submitted({ ...cat, ...key });
      await rig.addInstance('gpu1', { nodeTypes: [], models: [] });
      const full = rig.submitterWith({ config: { ...config, maxQueuedJobs: 1 } });
      expect(await full.submit(viewer, { ...cat, ...key })).toMatchObject({
        kind: 'submitted',
        job: { id: first.id },
      });
    });

    it('makes one job of many equal submissions at once', async () => {
      const results = await Promise.all(Array.from({ length: 50 }, () => submitted({ ...cat, ...key })));
      expect(new Set(results.map((job) => job.id)).size).toBe(1);
      expect(await rig.count('jobs')).toBe(1);
    });
  });

  describe('a full queue', () => {
    it('says when to come again, and takes no bytes', async () => {
      const full = rig.submitterWith({ config: { ...config, maxQueuedJobs: 1 } });
      expect(await full.submit(viewer, cat)).toMatchObject({ kind: 'submitted' });
      const limit = { of: 'all', max: 1 };
      expect(await full.submit(viewer, cat)).toEqual({ kind: 'queue-full', limit, retryAfterMs: 5_000 });
      const image = { upload: fileOf(await picture(1)) };
      expect(await full.submit(viewer, { workflow: 'upscaleImage', inputs: { image } })).toMatchObject({
        kind: 'queue-full',
      });
      expect(await rig.count('uploads')).toBe(0);
    });
  });
});
