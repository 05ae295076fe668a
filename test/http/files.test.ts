import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FileUrls } from '../../src/graphql/file-urls.ts';
import { StorageUnavailable } from '../../src/storage/storage-unavailable.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

let gateway: TestGateway;
let urls: FileUrls;
let png: Buffer;
let image: string;
let clip: string;
let page: string;
let jobId: string;
const BYTES = Uint8Array.from({ length: 1000 }, (_, index) => index % 251);

beforeAll(async () => {
  gateway = await startGateway();
  urls = new FileUrls(gateway.signer, gateway.url, () => Date.now());
  png = await sharp({ create: { width: 600, height: 400, channels: 3, background: 'blue' } })
    .png()
    .toBuffer();
  const job = await gateway.addJob();
  jobId = job.id;
  const attempt = await gateway.assign(job.id, await gateway.addInstance('gpu'));
  image = await gateway.addOutput(attempt, png, { filename: 'käse "x".png', width: 600, height: 400 });
  const file = { kind: 'file', width: null, height: null };
  clip = await gateway.addOutput(attempt, BYTES, {
    ...file,
    ordinal: 1,
    mimeType: 'video/mp4',
    filename: 'a.mp4',
  });
  page = await gateway.addOutput(attempt, new TextEncoder().encode('<html>'), {
    ...file,
    ordinal: 2,
    mimeType: 'text/html',
    filename: 'a.html',
  });
});
afterAll(() => gateway.stop());

const get = (url: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Response> =>
  fetch(url, { headers, method });

describe('/files', () => {
  it('serves a picture with its type, for as long as its address holds', async () => {
    const response = await get(urls.file(image));
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'image/png',
      'content-length': String(png.length),
      'x-content-type-options': 'nosniff',
      'accept-ranges': 'bytes',
    });
    expect(response.headers.get('cache-control')).toMatch(/^public, max-age=\d+, immutable$/);
    expect(response.headers.get('content-disposition')).toBe(
      `inline; filename="k_se _x_.png"; filename*=UTF-8''k%C3%A4se%20%22x%22.png`,
    );
    expect(Buffer.from(await response.arrayBuffer()).equals(png)).toBe(true);
  });

  it('answers 304 to who has it, and only headers to HEAD', async () => {
    const head = await get(urls.file(image), {}, 'HEAD');
    expect(head.headers.get('content-length')).toBe(String(png.length));
    expect(await head.text()).toBe('');
    const etag = head.headers.get('etag') ?? '';
    expect((await get(urls.file(image), { 'if-none-match': etag })).status).toBe(304);
    expect((await get(urls.file(image), { 'if-none-match': `W/${etag}, "other"` })).status).toBe(304);
    expect((await get(urls.file(image), { 'if-none-match': '"other"' })).status).toBe(200);
  });

  it.each([
    ['bytes=0-99', 0, 99],
    ['bytes=900-', 900, 999],
    ['bytes=-10', 990, 999],
    ['bytes=500-5000', 500, 999],
  ])('answers 206 to %s', async (range, start, end) => {
    const response = await get(urls.file(clip), { range });
    expect(response.status).toBe(206);
    expect(response.headers.get('content-range')).toBe(`bytes ${start}-${end}/1000`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    expect(bytes).toEqual(BYTES.slice(start, end + 1));
  });

  it('answers 416 to a range beyond the end, and the whole file to what is no range of it', async () => {
    const beyond = await get(urls.file(clip), { range: 'bytes=1000-' });
    expect(beyond.status).toBe(416);
    expect(beyond.headers.get('content-range')).toBe('bytes */1000');
    // caches know addresses, not ranges: kept, it would answer everybody
    expect(beyond.headers.get('cache-control')).toBe('no-store');
    for (const headers of [
      { range: 'nonsense' },
      { range: 'bytes=0-1,5-6' },
      { range: 'bytes=0-1', 'if-range': '"x"' },
    ]) {
      const whole = await get(urls.file(clip), headers);
      expect(whole.status).toBe(200);
      expect((await whole.arrayBuffer()).byteLength).toBe(1000);
    }
  });

  it('never serves what a browser could run as such', async () => {
    const response = await get(urls.file(page));
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    expect(response.headers.get('content-disposition')).toMatch(/^attachment/);
    expect(response.headers.get('content-security-policy')).toContain('sandbox');
  });

  it('refuses addresses that are unsigned, changed, expired or of another file', async () => {
    const good = new URL(urls.file(image));
    const other = new URL(urls.file(clip));
    const old = new FileUrls(gateway.signer, gateway.url, () => Date.now() - 100 * 3_600_000).file(image);
    const bad = [
      `${gateway.url}/files/${image}`,
      `${good.href}x`,
      `${good.origin}${good.pathname}${other.search}`,
      `${good.href}&w=100`,
      old,
    ];
    for (const url of bad) expect((await get(url)).status).toBe(403);
  });

  it('lets nobody keep the answer for a file that went, or that storage does not give at the moment', async () => {
    const { storage } = gateway;
    const real = { open: storage.open.bind(storage), stat: storage.stat.bind(storage) };
    const ask = async () => {
      const plain = await get(urls.file(clip));
      const part = await get(urls.file(clip), { range: 'bytes=0-9' });
      for (const { headers } of [plain, part]) {
        expect(headers.get('cache-control')).toBe('no-store');
        expect(headers.get('etag')).toBeNull();
        expect(headers.get('content-range')).toBeNull();
      }
      return [plain.status, part.status];
    };
    storage.open = async () => null;
    expect(await ask()).toEqual([404, 404]);
    storage.open = async () => Promise.reject(new StorageUnavailable('the object store failed'));
    expect(await ask()).toEqual([503, 503]);
    const refused = await get(urls.file(clip));
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await refused.json()).toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    Object.assign(storage, real);
    expect((await get(urls.file(clip))).status).toBe(200);
  });

  it('answers 404 for what is no longer there', async () => {
    expect((await get(urls.file('SW1hZ2VPdXRwdXQ6eA'))).status).toBe(404);
  });

  it('makes thumbnails', async () => {
    const response = await get(urls.thumbnail(image, 64));
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(response.headers.get('content-type')).toBe('image/webp');
    expect(await sharp(bytes).metadata()).toMatchObject({ format: 'webp', width: 64 });
    const etag = response.headers.get('etag') ?? '';
    expect((await get(urls.thumbnail(image, 64), { 'if-none-match': etag })).status).toBe(304);
    expect((await get(urls.thumbnail(clip, 64))).status).toBe(404);
    expect((await get(urls.thumbnail(image, 64).replace('w=64', 'w=65'))).status).toBe(403);
  });

  it('serves each preview under an address of its own, and nothing once the run is over', async () => {
    for (let revision = 1; revision <= 3; revision++) {
      const picture = await sharp({ create: { width: revision, height: 5, channels: 3, background: 'red' } })
        .jpeg()
        .toBuffer();
      const preview = { revision, mimeType: 'image/jpeg', at: Date.now() };
      const change = { type: 'preview', preview } as const;
      gateway.bus.publishPreview(
        { kind: 'job', jobId, tenant: 'default', seq: 2, at: Date.now(), change },
        picture,
      );
      const { data } = await gateway.query('{ jobs(first: 1) { nodes { preview { id url mimeType } } } }');
      const { url } = (data as unknown as { jobs: { nodes: { preview: { url: string } }[] } }).jobs.nodes[0]
        ?.preview ?? { url: '' };
      const response = await get(url);
      expect(response.headers.get('cache-control')).toContain('immutable');
      const { width } = await sharp(Buffer.from(await response.arrayBuffer())).metadata();
      expect(width).toBe(revision);
    }
    const early = await get(urls.preview(jobId, 1));
    expect(early.headers.get('cache-control')).toBe('no-store');
    gateway.bus.forget(jobId);
    expect((await get(urls.preview(jobId, 3))).status).toBe(404);
    expect((await get(urls.preview(jobId, 3).replace('rev=3', 'rev=4'))).status).toBe(403);
  });
});
