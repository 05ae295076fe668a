/** The whole gateway with its files in S3: through a CDN in front, and while S3 is away (F35). */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { noiseInto, sleepGraph } from '../support/graphs.ts';
import { ended, findJob, jobThat, submitGraph } from '../support/jobs.ts';
import { type RunningGateway, startGateway } from '../support/running-gateway.ts';
import { S3_CREDENTIALS, S3Server } from '../support/services/s3-server.ts';

const UPLOAD = `mutation ($file: Upload!) { uploadImage(input: { file: $file }) {
  __typename ... on UploadImageSuccess { image { id } } } }`;
const HEALTH = '{ health { status checks { name ok message } } }';

/** What a content delivery network does: keeps what it may, asks the gateway for the rest. */
class Cdn {
  readonly #kept = new Map<string, { readonly type: string; readonly body: Buffer }>();
  readonly #server: Server;
  origin = '';

  constructor() {
    this.#server = createServer((request, response) => void this.#answer(request.url ?? '', response));
  }

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/assets`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(path: string, response: ServerResponse): Promise<void> {
    let kept = this.#kept.get(path);
    if (!kept) {
      const found = await fetch(this.origin + path.replace(/^\/assets/, ''));
      const body = Buffer.from(await found.arrayBuffer());
      if (!/^public, max-age=[1-9]\d*, immutable$/.test(found.headers.get('cache-control') ?? '')) {
        response.writeHead(found.status).end(body);
        return;
      }
      kept = { type: found.headers.get('content-type') ?? '', body };
      this.#kept.set(path, kept);
    }
    response.writeHead(200, { 'content-type': kept.type }).end(kept.body);
  }
}

let s3: S3Server;
let cdn: Cdn;
let gateway: RunningGateway;
let png: Uint8Array<ArrayBuffer>;
beforeAll(async () => {
  Object.assign(process.env, S3_CREDENTIALS);
  s3 = await S3Server.create();
  await s3.start();
  cdn = new Cdn();
  const picture = sharp({ create: { width: 8, height: 6, channels: 3, background: 'red' } });
  png = new Uint8Array(await picture.png().toBuffer());
}, 60_000);
afterAll(async () => {
  await cdn.stop();
  await s3.dispose();
});

async function start(): Promise<RunningGateway> {
  gateway = await startGateway({
    config: { storageUrl: s3.storageUrl('files', '/fleet'), publicFilesUrl: await cdn.start() },
  });
  cdn.origin = gateway.url;
  return gateway;
}

it('keeps files in S3, serves them through a CDN, and waits while S3 is away', async () => {
  const { client } = await start();
  const upload = async () =>
    client.upload<{ uploadImage: { image: { id: string } } }>(UPLOAD, { bytes: png });

  // a job takes an uploaded picture from S3, and leaves its outputs there
  const { data } = await upload();
  const uploadId = data?.uploadImage.image.id ?? '';
  const graph = {
    ...noiseInto('SaveImage', { filename_prefix: 'noise' }),
    '3': { class_type: 'LoadImage', inputs: { image: { $file: { uploadId } } } },
    '4': { class_type: 'SaveImage', inputs: { images: ['3', 0], filename_prefix: 'same' } },
  };
  const first = await ended(client, (await submitGraph(client, graph)).id);
  expect(first).toMatchObject({ status: 'COMPLETED', outputs: [{}, {}] });
  const [output, uncached] = first.outputs;
  const fetched = await fetch(output?.url ?? '');
  expect(output?.url).toContain('/assets/files/');
  expect(fetched.status).toBe(200);
  const bytes = Buffer.from(await fetched.arrayBuffer());
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(output?.sha256);
  const direct = (output?.url ?? '').replace(/^.*\/assets/, gateway.url);
  const part = await fetch(direct, { headers: { range: 'bytes=8-15' } });
  expect([part.status, part.headers.get('etag')]).toEqual([206, `"${output?.sha256}"`]);
  expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(8, 16))).toBe(true);

  // away: the job goes on, its output waits on the instance; clients are told
  const waiting = await submitGraph(client, sleepGraph({ seconds: 2, salt: 1 }));
  await jobThat(client, waiting.id, ({ status }) => status === 'PROCESSING');
  await s3.kill();
  const { errors } = await upload();
  expect(errors.map(({ extensions }) => extensions?.code)).toEqual(['STORAGE_UNAVAILABLE']);
  const { health } = await client.run<{ health: { checks: object[] } }>(HEALTH);
  const check = { name: 'storage', ok: false, message: 'the storage does not answer' };
  expect(health.checks).toContainEqual(check);
  expect(await (await fetch(output?.url ?? '')).arrayBuffer()).toHaveProperty('byteLength', bytes.length);
  const refused = await fetch((uncached?.url ?? '').replace(/^.*\/assets/, gateway.url));
  expect([refused.status, refused.headers.get('cache-control')]).toEqual([503, 'no-store']);
  expect((await findJob(client, waiting.id))?.status).toBe('PROCESSING');

  // back: everything ends by itself, nothing ran twice
  await s3.start();
  const after = await ended(client, waiting.id);
  expect(after).toMatchObject({ status: 'COMPLETED', outputs: [{}], attempts: [{ number: 1 }] });
  await eventually(async () => (await upload()).errors.length === 0);
  expect((await fetch(uncached?.url ?? '')).status).toBe(200);
}, 120_000);
