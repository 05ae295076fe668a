/** What clients are told while the gateway has no room: a typed error, nothing half-written, and the same request works later. */
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fillDatabase } from '../support/full-database.ts';
import { type Answer, startGateway, type TestGateway } from '../support/gateway.ts';

const UPLOAD = 'mutation ($file: Upload!) { uploadImage(input: { file: $file }) { __typename } }';
const SUBMIT = `mutation ($input: SubmitJobInput!) { submitJob(input: $input) { __typename ... on Error { code message } } }`;

let gateway: TestGateway;
let png: Buffer;
beforeEach(async () => {
  gateway = await startGateway();
  png = await sharp({ create: { width: 8, height: 6, channels: 3, background: 'red' } })
    .png()
    .toBuffer();
});
afterEach(() => gateway.stop());

async function post(body: FormData | string): Promise<Answer> {
  const json = typeof body === 'string' ? { 'content-type': 'application/json' } : {};
  const headers = { 'apollo-require-preflight': '1', ...json };
  return (await fetch(gateway.graphqlUrl, { method: 'POST', headers, body })).json() as Promise<Answer>;
}

function upload(): Promise<Answer> {
  const form = new FormData();
  form.set('operations', JSON.stringify({ query: UPLOAD, variables: { file: null } }));
  form.set('map', JSON.stringify({ 0: ['variables.file'] }));
  form.set('0', new Blob([new Uint8Array(png)], { type: 'image/png' }), 'a.png');
  return post(form);
}

const graph = (text: string) => ({
  '1': { class_type: 'EmptyImage', inputs: { width: 8, height: 8, batch_size: 1, color: 0 } },
  '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: text } },
});

const submit = (input: object): Promise<Answer> =>
  post(JSON.stringify({ query: SUBMIT, variables: { input } }));

/** Rows and files that exist. */
async function left(): Promise<number[]> {
  const { db } = gateway.store;
  const uploads = await db.selectFrom('uploads').selectAll().execute();
  const jobs = await db.selectFrom('jobs').selectAll().execute();
  const halfWritten = await gateway.storage.sweepStaging(-1000);
  return [uploads.length, jobs.length, (await gateway.storage.list(100)).length, halfWritten];
}

const told = ({ errors }: Answer) => errors?.map(({ extensions }) => extensions?.code);

describe('while no space is left to store a file (F35)', () => {
  it('an upload, and a job with a file, are told to try again, and nothing of them stays', async () => {
    const put = gateway.storage.put.bind(gateway.storage);
    gateway.storage.put = async (_tenant, source) => {
      for await (const _ of source) break;
      return { stored: false, reason: 'no-space' };
    };
    const dataUri = `data:image/png;base64,${png.toString('base64')}`;
    const picture = { class_type: 'LoadImage', inputs: { image: { $file: { dataUri } } } };
    const withFile = { graph: { ...graph('a'), '3': picture } };
    expect(told(await upload())).toEqual(['STORAGE_UNAVAILABLE']);
    expect(told(await submit(withFile))).toEqual(['STORAGE_UNAVAILABLE']);
    expect(await left()).toEqual([0, 0, 0, 0]);
    // a job without files needs none
    expect(told(await submit({ graph: graph('b') }))).toBeUndefined();
    gateway.storage.put = put;
    expect(told(await upload())).toBeUndefined();
    expect(told(await submit(withFile))).toBeUndefined();
  });

  it('health shows the space that is left', async () => {
    gateway.storage.freeBytes = async () => 300 * 2 ** 20;
    const query = '{ health { status checks { name ok message } } }';
    const { data } = await post(JSON.stringify({ query }));
    expect(data?.health).toMatchObject({
      checks: expect.arrayContaining([{ name: 'storage', ok: false, message: '0.3 GiB free' }]),
    });
  });
});

describe('while the database has no room (F35)', () => {
  it('uploads and submits are told to try again, change nothing, and work once there is room', async () => {
    const makeRoom = await fillDatabase(gateway.store.db);
    const idempotent = { graph: graph('x'.repeat(5000)), idempotencyKey: 'once' };
    expect(told(await submit(idempotent))).toEqual(['STORAGE_UNAVAILABLE']);
    // small rows may still fit into the last page
    for (let tries = 0; tries < 50; tries++) {
      const before = await left();
      const answer = told(await upload());
      if (answer === undefined) continue;
      expect(answer).toEqual(['STORAGE_UNAVAILABLE']);
      expect(await left()).toEqual(before);
      break;
    }
    const [uploads] = await left();
    expect(uploads).toBeLessThan(50);
    expect((await left())[1]).toBe(0);
    await makeRoom();
    expect(told(await submit(idempotent))).toBeUndefined();
    expect(told(await upload())).toBeUndefined();
    expect((await left())[1]).toBe(1);
  });
});
