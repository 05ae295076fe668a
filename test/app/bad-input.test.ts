/** Whatever a client sends wrongly is answered with a typed or coded error; nothing is written, and the gateway serves on. */
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { picture, pngOf } from '../storage/pictures.ts';
import { noiseInto, sleepGraph } from '../support/graphs.ts';
import { act, findJob, submitted, submitting, UPLOAD, type UploadView } from '../support/jobs.ts';
import { sharedGateway } from '../support/running-gateway.ts';
import { type Traces, tracesIn } from '../support/traces.ts';

const gateway = sharedGateway({ config: { maxUploadBytes: 200_000, maxBodyBytes: 100_000 } });
const orange = await readFile(new URL('../../assets/orange.png', import.meta.url));

// what an instance can do is written down a moment after it is known to be healthy
beforeAll(() =>
  vi.waitFor(async () => expect((await tracesIn(gateway().dataDir)).rows.inventories).toBe(1), {
    timeout: 10_000,
  }),
);

let before: Traces;
beforeEach(async () => {
  before = await tracesIn(gateway().dataDir);
});
// what a broken request left half-written is cleared away a moment after its answer
afterEach(() =>
  vi.waitFor(async () => expect(await tracesIn(gateway().dataDir)).toEqual(before), { timeout: 5000 }),
);

const dataUri = (bytes: Buffer): string => `data:image/png;base64,${bytes.toString('base64')}`;

describe('a submission', () => {
  it.each([
    ['an unknown workflow', { workflow: 'makeCoffee' }, ['workflow']],
    ['neither workflow nor graph', {}, []],
    ['both workflow and graph', { workflow: 'generateImage', graph: sleepGraph({ seconds: 0 }) }, []],
    [
      'a number where a text belongs',
      { workflow: 'generateImage', inputs: { prompt: 7 } },
      ['inputs', 'prompt'],
    ],
    [
      'a number beyond its range',
      { workflow: 'generateImage', inputs: { prompt: 'x', steps: 151 } },
      ['inputs', 'steps'],
    ],
    ['an empty prompt', { workflow: 'generateImage', inputs: { prompt: '' } }, ['inputs', 'prompt']],
    [
      'an input that the workflow has not',
      { workflow: 'generateImage', inputs: { prompt: 'x', colour: 1 } },
      ['inputs', 'colour'],
    ],
    ['a priority of 11', { graph: sleepGraph({ seconds: 0 }), priority: 11 }, ['priority']],
    ['a negative waitMs', { graph: sleepGraph({ seconds: 0 }), waitMs: -1 }, ['waitMs']],
    [
      'an upload that does not exist',
      { workflow: 'upscaleImage', inputs: { image: { uploadId: 'VXBsb2FkZWRJbWFnZTp4' } } },
      ['inputs', 'image'],
    ],
    [
      'an output that does not exist',
      { workflow: 'upscaleImage', inputs: { image: { outputId: 'nonsense' } } },
      ['inputs', 'image'],
    ],
    [
      'two sources of one picture',
      { workflow: 'upscaleImage', inputs: { image: { uploadId: 'a', dataUri: 'b' } } },
      ['inputs', 'image'],
    ],
    [
      'the address of a private host',
      { workflow: 'upscaleImage', inputs: { image: { url: 'http://127.0.0.1:1/x.png' } } },
      ['inputs', 'image'],
    ],
  ])('of %s is a ValidationError with its path', async (_what, input, path) => {
    const result = await submitting(gateway().client, 'submitJob', input);
    expect(result).toMatchObject({ __typename: 'ValidationError' });
    expect(result.issues?.[0]?.path.slice(0, path.length)).toEqual(path);
    expect(result.issues?.[0]?.message).not.toBe('');
  });

  it('of a wrong type in a typed mutation is a top-level error with a code', async () => {
    const query = 'mutation { generateImage(input: { prompt: 7 }) { __typename } }';
    const answer = await gateway().client.ask(query);
    expect(answer.status).toBe(400);
    expect(answer.errors[0]?.extensions?.code).toBe('GRAPHQL_VALIDATION_FAILED');
  });

  it('of a number beyond its range in a typed mutation is a ValidationError', async () => {
    const result = await submitting(gateway().client, 'generateImage', { prompt: 'x', steps: 0 });
    expect(result).toMatchObject({ __typename: 'ValidationError', issues: [{ path: ['steps'] }] });
  });

  it.each([
    ['has a link to nowhere', { '1': { class_type: 'SaveImage', inputs: { images: ['9', 0] } } }, '1'],
    [
      'goes in a circle',
      {
        '1': { class_type: 'ImageInvert', inputs: { image: ['2', 0] } },
        '2': { class_type: 'ImageInvert', inputs: { image: ['1', 0] } },
      },
      '2',
    ],
    ['names no class', { '1': { inputs: {} } }, '1'],
  ])('of a graph that %s is a WorkflowInvalidError that names the node', async (_what, graph, nodeId) => {
    const result = await submitting(gateway().client, 'submitJob', { graph });
    expect(result.__typename).toBe('WorkflowInvalidError');
    expect(result.nodeErrors?.map((node) => node.nodeId)).toContain(nodeId);
  });

  it('of a graph that nothing here could ever run is a NotRunnableError', async () => {
    const graph = { '1': { class_type: 'NodeOfTomorrow', inputs: {} } };
    const result = await submitting(gateway().client, 'submitJob', { graph });
    expect(result).toMatchObject({ __typename: 'NotRunnableError', missingNodeTypes: ['NodeOfTomorrow'] });
    const model = await submitting(gateway().client, 'generateImage', {
      prompt: 'x',
      model: 'gone.safetensors',
    });
    expect(model).toMatchObject({ __typename: 'NotRunnableError', missingModels: ['gone.safetensors'] });
  });

  it.each([
    ['something that is no picture', Buffer.from('hello, I am a text'), 'UnsupportedMediaError'],
    ['a truncated picture', orange.subarray(0, 300), 'ValidationError'],
    ['a picture that claims 30000 x 30000 pixels', pngOf(30_000, 30_000, null), 'ImageTooLargeError'],
  ])('with %s as data URI is a typed error', async (_what, bytes, typename) => {
    const image = { dataUri: dataUri(bytes) };
    expect(await submitting(gateway().client, 'upscaleImage', { image })).toMatchObject({
      __typename: typename,
    });
  });
});

describe('an upload', () => {
  async function upload(bytes: Buffer<ArrayBuffer>): Promise<UploadView | undefined> {
    const { data } = await gateway().client.upload<{ uploadImage: UploadView }>(UPLOAD, { bytes });
    return data?.uploadImage;
  }

  it('of too many bytes is a FileTooLargeError', async () => {
    const result = await upload(Buffer.from(await picture('png', 600, 400)));
    expect(result).toMatchObject({ __typename: 'FileTooLargeError', maxBytes: 200_000 });
  });

  it('of something that is no picture is an UnsupportedMediaError, whatever its name and type say', async () => {
    const result = await upload(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'));
    expect(result).toMatchObject({ __typename: 'UnsupportedMediaError' });
    expect(result?.accepted).toContain('image/png');
    expect(await upload(Buffer.from(await picture('gif', 8, 8)))).toMatchObject({
      __typename: 'UnsupportedMediaError',
    });
    expect(await upload(Buffer.alloc(0))).toMatchObject({ code: expect.any(String) });
  });

  it('of a truncated picture is a ValidationError', async () => {
    expect(await upload(Buffer.from(orange.subarray(0, 300)))).toMatchObject({
      __typename: 'ValidationError',
    });
  });

  it('of a header that claims 30000 x 30000 pixels is an ImageTooLargeError, found without decoding', async () => {
    const result = await upload(Buffer.from(pngOf(30_000, 30_000, Buffer.alloc(100))));
    expect(result).toMatchObject({ __typename: 'ImageTooLargeError', width: 30_000, height: 30_000 });
  });

  it.each([
    ['no map', { operations: '{"query":"{ __typename }"}' }],
    [
      'a map of something else',
      { operations: JSON.stringify({ query: UPLOAD, variables: { file: null } }), map: '[]' },
    ],
    [
      'a map that names no variable',
      {
        operations: JSON.stringify({ query: UPLOAD, variables: { file: null } }),
        map: '{"0":["nowhere.x"]}',
      },
    ],
    ['operations that are no JSON', { operations: '{', map: '{}' }],
    [
      'a promised file that does not come',
      {
        operations: JSON.stringify({ query: UPLOAD, variables: { file: null } }),
        map: '{"0":["variables.file"]}',
      },
    ],
  ])('in a multipart body with %s is refused with a code', async (_what, fields) => {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.set(name, value);
    const headers = { 'graphql-require-preflight': 'true' };
    const response = await fetch(gateway().client.endpoint, { method: 'POST', headers, body: form });
    const { errors } = (await response.json()) as { errors: { extensions: { code: string } }[] };
    expect(errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
  });

  it('that breaks off in the middle leaves nothing behind', async () => {
    const { hostname, port } = new URL(gateway().url);
    const boundary = 'frontier';
    const head = [
      `--${boundary}\r\nContent-Disposition: form-data; name="operations"\r\n\r\n${JSON.stringify({ query: UPLOAD, variables: { file: null } })}`,
      `--${boundary}\r\nContent-Disposition: form-data; name="map"\r\n\r\n{"0":["variables.file"]}`,
      `--${boundary}\r\nContent-Disposition: form-data; name="0"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n`,
    ].join('\r\n');
    const call = request({
      hostname,
      port,
      path: '/graphql',
      method: 'POST',
      headers: {
        'content-type': `multipart/form-data; boundary=${boundary}`,
        'graphql-require-preflight': 'true',
        'content-length': 100_000,
      },
    });
    const broken = new Promise((resolve) => call.on('error', resolve));
    await new Promise((resolve) =>
      call.write(Buffer.concat([Buffer.from(head), orange.subarray(0, 5000)]), resolve),
    );
    call.destroy();
    await broken;
    expect((await gateway().client.ask('{ __typename }')).status).toBe(200);
  });
});

describe('an id that names nothing', () => {
  const nobody = ['Sm9iOm5vdGhpbmc', 'nonsense', '', '../../etc/passwd', 'SW5zdGFuY2U6eA'];

  it('is null in queries', async () => {
    const { client } = gateway();
    for (const id of nobody) {
      expect(await findJob(client, id)).toBeNull();
      const query =
        'query Any($id: ID!) { node(id: $id) { id } nodes(ids: [$id]) { id } instance(id: $id) { id } }';
      expect(await client.run(query, { id })).toEqual({ node: null, nodes: [null], instance: null });
    }
    expect(await client.run('{ workflow(name: "nothing") { name } }')).toEqual({ workflow: null });
  });

  it('is a NotFoundError in mutations', async () => {
    for (const id of nobody) {
      for (const mutation of ['cancelJob', 'retryJob', 'deleteJob'] as const) {
        expect(await act(gateway().client, mutation, id)).toEqual({
          __typename: 'NotFoundError',
          code: 'NOT_FOUND',
        });
      }
    }
  });

  it('is refused as the address of a file', async () => {
    for (const id of nobody.filter(Boolean)) {
      const response = await fetch(`${gateway().url}/files/${encodeURIComponent(id)}?exp=1&kid=x&sig=y`);
      expect([403, 404]).toContain(response.status);
    }
  });
});

describe('a request', () => {
  it('that is no GraphQL is refused with a code', async () => {
    const { client } = gateway();
    for (const query of ['{ job(', 'hello', '{ nothingOfThisName }', '']) {
      const answer = await client.ask(query);
      expect(answer.status).toBe(400);
      expect(answer.errors[0]?.extensions?.code).toEqual(expect.any(String));
    }
  });

  it('that is no JSON is refused with a code', async () => {
    for (const body of ['{', '"text"', 'null', '[]', '{"query": 7}', '{}']) {
      const answer = await gateway().client.post(body);
      expect(answer.status).toBe(400);
      expect(answer.errors[0]?.extensions?.code).toEqual(expect.any(String));
    }
  });

  it('of more bytes than allowed is refused, announced or not', async () => {
    const body = JSON.stringify({ query: '{ __typename }', variables: { filling: 'x'.repeat(200_000) } });
    const announced = await gateway().client.post(body);
    expect(announced.status).toBe(413);
    expect(announced.errors[0]?.extensions?.code).toBe('PAYLOAD_TOO_LARGE');
    const stream = new Blob([body]).stream();
    const response = await fetch(gateway().client.endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: stream,
      duplex: 'half',
    } as RequestInit);
    expect(response.status).toBe(413);
  });

  it('that is too deep, too wide or too long is refused', async () => {
    const deep = `{ jobs { nodes ${'{ retryOf '.repeat(20)}{ id }${' }'.repeat(20)} } }`;
    const wide = `{ ${Array.from({ length: 200 }, (_, n) => `a${n}: __typename`).join(' ')} }`;
    for (const query of [deep, wide, `{ ${'__typename '.repeat(5000)} }`]) {
      const answer = await gateway().client.ask(query);
      expect(answer.errors.length).toBeGreaterThan(0);
      expect(answer.data ?? null).toBeNull();
    }
  });

  it('with pages out of bounds and broken cursors is refused with a code', async () => {
    const { client } = gateway();
    for (const args of ['first: -1', 'first: 1000', 'after: "x"', 'first: 1, last: 1']) {
      const answer = await client.ask(`{ jobs(${args}) { totalCount nodes { id } } }`);
      expect(answer.errors[0]?.extensions?.code).toBe('BAD_USER_INPUT');
    }
  });
});

describe('after all that', () => {
  afterEach(async () => {
    before = await tracesIn(gateway().dataDir);
  });

  it('a job runs as ever', async () => {
    const graph = noiseInto('SaveImage', { filename_prefix: 'fine' });
    const job = await submitted(gateway().client, 'submitJob', { graph, waitMs: 20_000 });
    expect(job.status).toBe('COMPLETED');
    const health = await fetch(`${gateway().url}/health`);
    expect(health.status).toBe(200);
  });
});
