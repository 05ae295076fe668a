import { createHash } from 'node:crypto';
import { request } from 'node:http';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, startGateway, type TestGateway } from '../support/gateway.ts';

const UPLOAD = `mutation ($file: Upload!) { uploadImage(input: { file: $file }) {
  __typename
  ... on UploadImageSuccess { image { id filename mimeType width height bytes sha256 url } }
  ... on ValidationError { issues { path message } }
  ... on FileTooLargeError { maxBytes }
  ... on UnsupportedMediaError { accepted }
  ... on ImageTooLargeError { width height maxPixels }
  ... on Error { code message }
} }`;

let gateway: TestGateway;
let png: Buffer;
beforeAll(async () => {
  gateway = await startGateway({ MAX_UPLOAD_BYTES: '200000', MAX_UPLOAD_PIXELS: '1000000' });
  png = await sharp({ create: { width: 8, height: 6, channels: 3, background: 'red' } })
    .png()
    .toBuffer();
});
afterAll(() => gateway.stop());

interface Sent {
  readonly status: number;
  readonly answer: Answer & { data?: { uploadImage?: Record<string, unknown> } | null };
}

async function sendForm(form: FormData, headers: Record<string, string> = {}): Promise<Sent> {
  const response = await fetch(gateway.graphqlUrl, {
    method: 'POST',
    headers: { 'apollo-require-preflight': '1', ...headers },
    body: form,
  });
  return { status: response.status, answer: (await response.json()) as Sent['answer'] };
}

function form(operations: unknown, map: unknown, files: Record<string, [Uint8Array, string]>): FormData {
  const data = new FormData();
  data.set('operations', typeof operations === 'string' ? operations : JSON.stringify(operations));
  data.set('map', typeof map === 'string' ? map : JSON.stringify(map));
  for (const [name, [bytes, filename]] of Object.entries(files)) {
    data.set(name, new Blob([new Uint8Array(bytes)], { type: 'image/png' }), filename);
  }
  return data;
}

const upload = (bytes: Uint8Array, filename = 'a.png', headers = {}): Promise<Sent> =>
  sendForm(
    form({ query: UPLOAD, variables: { file: null } }, { 0: ['variables.file'] }, { 0: [bytes, filename] }),
    headers,
  );

const rows = async (): Promise<number> =>
  (await gateway.store.db.selectFrom('uploads').selectAll().execute()).length;

describe('uploads', () => {
  it('keeps a picture, says what its bytes are, and serves it back', async () => {
    const { answer } = await upload(png, 'ünï "quoted".jpg');
    const sha256 = createHash('sha256').update(png).digest('hex');
    const { image } = (answer.data?.uploadImage ?? {}) as { image: { url: string } };
    expect(image).toMatchObject({ mimeType: 'image/png', width: 8, height: 6, bytes: png.length, sha256 });
    const served = await fetch(image.url);
    expect(served.headers.get('content-type')).toBe('image/png');
    expect(Buffer.from(await served.arrayBuffer()).equals(png)).toBe(true);
  });

  it('refuses what is too large and keeps nothing of it', async () => {
    const before = await rows();
    const { answer } = await upload(Buffer.concat([png, Buffer.alloc(400_000)]));
    expect(answer.data?.uploadImage).toMatchObject({
      __typename: 'FileTooLargeError',
      code: 'FILE_TOO_LARGE',
      maxBytes: 200_000,
    });
    expect(await rows()).toBe(before);
  });

  it('still gets its answer to a client that sends very much more than is allowed', async () => {
    const { answer } = await upload(Buffer.concat([png, Buffer.alloc(30_000_000)]));
    expect(answer.data?.uploadImage).toMatchObject({ __typename: 'FileTooLargeError' });
  });

  it('refuses what is no picture, whatever it is called', async () => {
    const { answer } = await upload(Buffer.from('<svg onload="alert(1)"/>'), 'a.png');
    expect(answer.data?.uploadImage).toMatchObject({ __typename: 'UnsupportedMediaError' });
  });

  it('refuses a picture that ends too early', async () => {
    const { answer } = await upload(png.subarray(0, png.length - 20));
    expect(answer.data?.uploadImage).toMatchObject({
      __typename: 'ValidationError',
      issues: [{ path: ['file'] }],
    });
  });

  it('refuses a picture with too many pixels by its header alone', async () => {
    const bomb = Buffer.from(png);
    bomb.writeUInt32BE(30_000, 16);
    bomb.writeUInt32BE(30_000, 20);
    const { answer } = await upload(bomb);
    expect(answer.data?.uploadImage).toMatchObject({ __typename: 'ImageTooLargeError', width: 30_000 });
  });

  it('takes a file straight into a typed mutation', async () => {
    const query = `mutation ($image: Upload!) { upscaleImage(input: { image: { upload: $image } }) {
      ... on SubmitJobSuccess { job { inputs } } ... on Error { code message } } }`;
    const { answer } = await sendForm(
      form({ query, variables: { image: null } }, { 0: ['variables.image'] }, { 0: [png, 'b.png'] }),
    );
    expect(answer).toMatchObject({
      data: { upscaleImage: { job: { inputs: { image: { uploadId: expect.any(String) } } } } },
    });
  });

  it('takes two files one after the other', async () => {
    const query = `mutation ($a: Upload!, $b: Upload!) {
      a: uploadImage(input: { file: $a }) { __typename }
      b: uploadImage(input: { file: $b }) { __typename } }`;
    const { answer } = await sendForm(
      form(
        { query, variables: { a: null, b: null } },
        { 0: ['variables.a'], 1: ['variables.b'] },
        { 0: [Buffer.concat([png, Buffer.alloc(300_000)]), 'a.png'], 1: [png, 'b.png'] },
      ),
    );
    expect(answer.data).toEqual({
      a: { __typename: 'FileTooLargeError' },
      b: { __typename: 'UploadImageSuccess' },
    });
  });

  it('takes one file in two places', async () => {
    const query = `mutation ($a: Upload!, $b: Upload!) {
      a: uploadImage(input: { file: $a }) { __typename }
      b: uploadImage(input: { file: $b }) { __typename } }`;
    const { answer } = await sendForm(
      form(
        { query, variables: { a: null, b: null } },
        { 0: ['variables.a', 'variables.b'] },
        { 0: [png, 'a.png'] },
      ),
    );
    const kept = { __typename: 'UploadImageSuccess' };
    expect(answer).toEqual({ data: { a: kept, b: kept } });
  });

  it('says so when the mapped file is missing', async () => {
    const { answer } = await sendForm(
      form({ query: UPLOAD, variables: { file: null } }, { 0: ['variables.file'] }, {}),
    );
    expect(answer.errors?.[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT' });
  });

  it.each([
    ['no JSON in operations', '{', '{}'],
    ['no JSON in map', '{"query":"{ __typename }"}', '{'],
    ['a map to nowhere', '{"query":"{ __typename }"}', '{"0":["variables.a.b"]}'],
    ['a map to a prototype', '{"query":"{ __typename }","variables":{}}', '{"0":["variables.__proto__"]}'],
    ['bottomless operations', `{"variables":${'['.repeat(5000)}${']'.repeat(5000)}}`, '{}'],
    ['several operations', '[{"query":"{ __typename }"}]', '{}'],
  ])('answers 400 with a code to %s', async (_what, operations, map) => {
    const { status, answer } = await sendForm(form(operations, map, { 0: [png, 'a.png'] }));
    expect(status).toBe(400);
    expect(answer.errors?.[0]?.extensions?.code).toBe('BAD_USER_INPUT');
  });

  it('answers at once, without reading on, when the operation is refused before its file is read', async () => {
    const query = 'mutation ($file: Upload!) { uploadImage(input: { file: $file }) { nonsense } }';
    const { answer } = await sendForm(
      form(
        { query, variables: { file: null } },
        { 0: ['variables.file'] },
        { 0: [Buffer.alloc(190_000), 'a.png'] },
      ),
    );
    expect(answer.errors?.[0]?.extensions?.code).toBe('GRAPHQL_VALIDATION_FAILED');
  });

  it('survives a body that breaks off in the middle of a file', async () => {
    const before = await rows();
    await new Promise<void>((resolve) => {
      const boundary = 'x';
      const { port } = new URL(gateway.url);
      const sent = request({
        port,
        host: '127.0.0.1',
        path: '/graphql',
        method: 'POST',
        headers: {
          'content-type': `multipart/form-data; boundary=${boundary}`,
          'apollo-require-preflight': '1',
        },
      });
      sent.on('error', () => resolve());
      const part = (name: string, text: string): string =>
        `--${boundary}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`;
      sent.write(part('operations', JSON.stringify({ query: UPLOAD, variables: { file: null } })));
      sent.write(part('map', '{"0":["variables.file"]}'));
      sent.write(`--${boundary}\r\ncontent-disposition: form-data; name="0"; filename="a.png"\r\n\r\n`);
      sent.write(png.subarray(0, 30), () => sent.destroy());
    });
    expect((await gateway.query('{ __typename }')).data).toEqual({ __typename: 'Query' });
    expect(await rows()).toBe(before);
  });

  it('refuses a part whose header is none, and goes on (F10)', async () => {
    const response = await fetch(gateway.graphqlUrl, {
      method: 'POST',
      headers: { 'apollo-require-preflight': '1', 'content-type': 'multipart/form-data; boundary=b' },
      body: '--b\r\n\u0000 no header\r\n\r\nx\r\n',
    });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain('Malformed part header');
    // what the parser says after that must not end the process
    expect((await upload(png)).status).toBe(200);
  });

  it('takes files from pages of its own origin and from programs, not from pages of other sites', async () => {
    const data = form(
      { query: UPLOAD, variables: { file: null } },
      { 0: ['variables.file'] },
      { 0: [png, 'a.png'] },
    );
    const send = async (headers: Record<string, string>): Promise<number> =>
      (await fetch(gateway.graphqlUrl, { method: 'POST', body: data, headers })).status;
    expect(await send({})).toBe(200);
    expect(await send({ origin: gateway.url })).toBe(200);
    expect(await send({ origin: 'https://evil.example' })).toBe(403);
    expect(await send({ origin: 'https://evil.example', 'apollo-require-preflight': '1' })).toBe(200);
  });
});
