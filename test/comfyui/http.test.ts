import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { ComfyHttp } from '../../src/comfyui/http.ts';
import { type ComfyRequest, HttpTransport } from '../../src/comfyui/http-transport.ts';
import { Login } from '../../src/lib/address.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { eventually } from '../support/eventually.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { type SeenRequest, sendJson, startServer, type TestServer } from './http-server.ts';
import { recording } from './recordings.ts';

const SOON = { deadlineMs: 10_000 };
const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function serve(handle: (request: SeenRequest, response: ServerResponse) => void): Promise<TestServer> {
  const server = await startServer(handle);
  ends.push(() => server.stop());
  return server;
}

async function clientOf(url: string, clock = systemClock, login: Login | null = null): Promise<ComfyHttp> {
  const transport = new HttpTransport({ url, login, clock });
  await transport.start();
  ends.push(() => transport.stop());
  return new ComfyHttp(transport);
}

async function clientAnswered(
  status: number,
  body: unknown,
): Promise<{ http: ComfyHttp; server: TestServer }> {
  const server = await serve((_request, response) => sendJson(response, status, body));
  return { http: await clientOf(server.url), server };
}

const submission = () => ({
  prompt: {},
  promptId: randomUUID(),
  clientId: 'me',
  extraData: { gw: { job: 'j' } },
});

describe('every call is told of', () => {
  it('by its route without ids, what came of it and how long it took', async () => {
    const told: ComfyRequest[] = [];
    const server = await serve((request, response) =>
      request.url === '/queue' ? sendJson(response, 503, '') : sendJson(response, 200, {}),
    );
    const transport = new HttpTransport({
      url: server.url,
      clock: systemClock,
      onRequest: (request) => void told.push(request),
    });
    await transport.start();
    ends.push(() => transport.stop());
    const http = new ComfyHttp(transport);
    await http.getHistoryEntry(randomUUID(), SOON);
    await http.getQueue(SOON);
    const file = await http.view({ filename: 'secret.png', subfolder: '', type: 'output' }, SOON);
    if (file.ok) file.body.destroy();
    await http.isOutputNode('KSampler', { ...SOON, signal: AbortSignal.abort() });
    await server.stop();
    await http.interrupt('p', SOON);
    expect(told.map(({ route, outcome }) => [route, outcome])).toEqual([
      ['/history/{id}', 'ok'],
      ['/queue', 'status'],
      ['/view', 'ok'],
      ['/object_info/{id}', 'aborted'],
      ['/interrupt', 'refused'],
    ]);
    for (const { ms } of told) expect(ms).toBeGreaterThanOrEqual(0);
  });
});

describe('postPrompt', () => {
  it('sends the graph with our id, and neither number nor front nor an Origin', async () => {
    const { http, server } = await clientAnswered(200, { prompt_id: 'p', number: 0, node_errors: {} });
    const prompt = { '1': { class_type: 'EmptyImage', inputs: {} } };
    const posted = { ...submission(), prompt };
    expect(await http.postPrompt(posted, SOON)).toEqual({ kind: 'accepted' });
    const [request] = server.seen;
    expect(request).toMatchObject({ method: 'POST', url: '/prompt' });
    expect(JSON.parse(String(request?.body))).toEqual({
      prompt,
      prompt_id: posted.promptId,
      client_id: 'me',
      extra_data: { gw: { job: 'j' } },
    });
    expect(request?.headers).not.toHaveProperty('origin');
  });

  it('refuses to send an id that newer servers would refuse', async () => {
    const { http, server } = await clientAnswered(200, {});
    await expect(http.postPrompt({ ...submission(), promptId: 'MY-ID' }, SOON)).rejects.toThrow('UUID');
    expect(server.seen).toEqual([]);
  });

  it('reads a validation error', async () => {
    const refused = recording('validation_errors').http.find((call) => call.status === 400);
    const { http } = await clientAnswered(400, refused?.response_body);
    expect(await http.postPrompt(submission(), SOON)).toMatchObject({
      kind: 'rejected',
      error: { type: 'invalid_prompt' },
    });
  });

  it('calls a 500 ambiguous', async () => {
    const { http } = await clientAnswered(500, '500 Internal Server Error');
    expect(await http.postPrompt(submission(), SOON)).toMatchObject({
      kind: 'ambiguous',
      failure: { status: 500 },
    });
  });

  it('calls a connection that broke before the answer ambiguous', async () => {
    const server = await serve((_request, response) => response.socket?.resetAndDestroy());
    const http = await clientOf(server.url);
    expect(await http.postPrompt(submission(), SOON)).toMatchObject({
      kind: 'ambiguous',
      failure: { reason: 'reset' },
    });
    expect(server.seen).toHaveLength(1);
  });

  it('calls a connection that broke within the answer ambiguous', async () => {
    const server = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"prompt_id"', () => response.socket?.destroy());
    });
    const http = await clientOf(server.url);
    expect(await http.postPrompt(submission(), SOON)).toMatchObject({
      kind: 'ambiguous',
      failure: { reason: 'reset' },
    });
  });

  it('calls an answer that does not come in time ambiguous (F26)', async () => {
    const server = await serve(() => undefined);
    const clock = new VirtualClock();
    const http = await clientOf(server.url, clock);
    const reply = http.postPrompt(submission(), { deadlineMs: 30_000 });
    await eventually(() => server.seen.length === 1);
    await clock.advance(30_000);
    expect(await reply).toMatchObject({ kind: 'ambiguous', failure: { reason: 'timeout' } });
    expect(clock.pending).toBe(0);
  });

  it('knows that nothing was queued where nobody listens', async () => {
    const server = await startServer(() => undefined);
    await server.stop();
    const http = await clientOf(server.url);
    expect(await http.postPrompt(submission(), SOON)).toMatchObject({
      kind: 'refused',
      failure: { reason: 'refused' },
    });
  });
});

describe('reading', () => {
  it('reads history that is not valid JSON', async () => {
    const call = recording('nan_output').http.find(
      (one) => typeof one.response_body === 'string' && one.response_body.includes('NaN'),
    );
    const { http, server } = await clientAnswered(200, call?.response_body);
    const id = '4f3360b7-18f0-44d5-96d0-c1cda963350f';
    expect(await http.getHistoryEntry(id, SOON)).toMatchObject({
      ok: true,
      value: { promptId: id, status: 'success' },
    });
    expect(server.seen[0]?.url).toBe(`/history/${id}`);
  });

  it('answers null for a prompt without history', async () => {
    const { http } = await clientAnswered(200, {});
    expect(await http.getHistoryEntry('p', SOON)).toEqual({ ok: true, value: null });
  });

  it('reads queue, count, stats and node list', async () => {
    const answers: Record<string, unknown> = {
      '/queue': { queue_running: [[1, 'p', {}, {}, []]], queue_pending: [] },
      '/prompt': { exec_info: { queue_remaining: 7 } },
      '/system_stats': { system: { comfyui_version: '0.3.64' }, devices: [] },
      '/object_info': { KSampler: {} },
    };
    const server = await serve((request, response) => sendJson(response, 200, answers[request.url]));
    const http = await clientOf(server.url);
    expect(await http.getQueue(SOON)).toMatchObject({
      ok: true,
      value: { running: [{ promptId: 'p' }], pending: [] },
    });
    expect(await http.getPromptCount(SOON)).toEqual({ ok: true, value: 7 });
    expect(await http.getSystemStats(SOON)).toMatchObject({ ok: true, value: { comfyuiVersion: '0.3.64' } });
    expect(await http.getObjectInfo(SOON)).toMatchObject({
      ok: true,
      value: { inventory: { nodeTypes: ['KSampler'] } },
    });
  });

  it('names the status of an answer that is an error', async () => {
    const { http } = await clientAnswered(503, 'busy');
    expect(await http.getQueue(SOON)).toEqual({
      ok: false,
      reason: 'status',
      status: 503,
      message: 'status 503',
    });
  });

  it.each(['<html>', '[]', '{"queue_running": 3}'])('calls the answer %j malformed', async (body) => {
    const { http } = await clientAnswered(200, body);
    expect(await http.getQueue(SOON)).toMatchObject({ ok: false, reason: 'malformed' });
  });

  it('stops reading an answer that does not end', async () => {
    let closed = false;
    const server = await serve((_request, response) => {
      response.on('close', () => {
        closed = true;
      });
      const pour = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(64 * 1024)));
      };
      response.on('drain', pour);
      pour();
    });
    const http = await clientOf(server.url);
    expect(await http.getPromptCount(SOON)).toMatchObject({ ok: false, reason: 'malformed' });
    await eventually(() => closed, { what: 'the connection is given up' });
  });

  it('gives up when the caller does', async () => {
    const server = await serve(() => undefined);
    const http = await clientOf(server.url);
    const abort = new AbortController();
    const answer = http.getQueue({ ...SOON, signal: abort.signal });
    await eventually(() => server.seen.length === 1);
    abort.abort();
    expect(await answer).toMatchObject({ ok: false, reason: 'aborted' });
    expect(await http.getQueue({ ...SOON, signal: abort.signal })).toMatchObject({
      ok: false,
      reason: 'aborted',
    });
  });

  it('ends calls in flight when it is stopped, and answers later ones without a connection', async () => {
    const server = await serve(() => undefined);
    const transport = new HttpTransport({ url: server.url, clock: systemClock });
    await transport.start();
    const http = new ComfyHttp(transport);
    const answer = http.getQueue(SOON);
    await eventually(() => server.seen.length === 1);
    await transport.stop();
    expect(await answer).toMatchObject({ ok: false, reason: 'aborted' });
    expect(await http.getQueue(SOON)).toMatchObject({ ok: false, reason: 'aborted' });
  });

  it('keeps the path of a base URL and sends a login as basic auth', async () => {
    const { server } = await clientAnswered(200, { exec_info: { queue_remaining: 0 } });
    const http = await clientOf(`${server.url}/comfy/`, systemClock, new Login('ann:s%20x'));
    expect(await http.getPromptCount(SOON)).toEqual({ ok: true, value: 0 });
    expect(server.seen[0]).toMatchObject({
      url: '/comfy/prompt',
      headers: { authorization: `Basic ${Buffer.from('ann:s x').toString('base64')}` },
    });
  });

  it('uses connections again for calls that follow each other', async () => {
    const ports = new Set<number | undefined>();
    const server = await serve((_request, response) => {
      ports.add(response.socket?.remotePort);
      sendJson(response, 200, { exec_info: { queue_remaining: 0 } });
    });
    const http = await clientOf(server.url);
    for (let call = 0; call < 10; call++) expect((await http.getPromptCount(SOON)).ok).toBe(true);
    expect(ports.size).toBeLessThanOrEqual(2);
  });
});

describe('commands', () => {
  it('name the prompts they mean', async () => {
    const { http, server } = await clientAnswered(200, '');
    expect(await http.deleteFromQueue(['a', 'b'], SOON)).toEqual({ ok: true, value: null });
    expect(await http.interrupt('a', SOON)).toEqual({ ok: true, value: null });
    expect(await http.deleteFromHistory(['a'], SOON)).toEqual({ ok: true, value: null });
    expect(await http.free({ unloadModels: true, freeMemory: false }, SOON)).toEqual({
      ok: true,
      value: null,
    });
    expect(server.seen.map((request) => [request.url, JSON.parse(String(request.body))])).toEqual([
      ['/queue', { delete: ['a', 'b'] }],
      ['/interrupt', { prompt_id: 'a' }],
      ['/history', { delete: ['a'] }],
      ['/free', { unload_models: true, free_memory: false }],
    ]);
    await expect(http.interrupt('', SOON)).rejects.toThrow('names its prompt');
  });
});

describe('upload', () => {
  const file = (content: string, size = content.length) => ({
    filename: 'up.png',
    mimeType: 'image/png',
    size,
    content: Readable.from([Buffer.from(content)]),
    type: 'input' as const,
  });

  it('streams a multipart body of known length and answers the name the server chose', async () => {
    const { http, server } = await clientAnswered(200, { name: 'up (1).png', subfolder: '', type: 'input' });
    expect(await http.upload({ ...file('bytes'), subfolder: 'gw' }, SOON)).toEqual({
      ok: true,
      value: { filename: 'up (1).png', subfolder: '', type: 'input' },
    });
    const [request] = server.seen;
    expect(request?.headers['content-length']).toBe(String(request?.body.length));
    expect(request?.headers).not.toHaveProperty('transfer-encoding');
    const form = await new Response(new Uint8Array(request?.body ?? []), {
      headers: { 'content-type': String(request?.headers['content-type']) },
    }).formData();
    expect([...form.keys()]).toEqual(['type', 'subfolder', 'image']);
    const image = form.get('image');
    expect(image).toBeInstanceOf(File);
    expect(image).toMatchObject({ name: 'up.png', type: 'image/png' });
    expect(await (image as File).text()).toBe('bytes');
  });

  it.each([
    ['shorter', 9],
    ['longer', 2],
  ])('never stores a file that turns out %s than announced', async (_what, size) => {
    const { http, server } = await clientAnswered(200, { name: 'up.png', subfolder: '', type: 'input' });
    expect(await http.upload(file('bytes', size), SOON)).toMatchObject({ ok: false, reason: 'source' });
    expect(server.seen).toEqual([]);
  });

  it('tells a source that cannot be read from a server that cannot be reached', async () => {
    const { http } = await clientAnswered(200, {});
    const broken = new Readable({ read: () => undefined });
    const answer = http.upload({ ...file('bytes'), content: broken }, SOON);
    broken.destroy(new Error('disk'));
    expect(await answer).toMatchObject({ ok: false, reason: 'source' });
  });

  it('refuses a name that the server would store with its escapes', async () => {
    const { http } = await clientAnswered(200, {});
    await expect(http.upload({ ...file('x'), filename: 'bild ü.png' }, SOON)).rejects.toThrow('ASCII');
  });
});

describe('view', () => {
  const picture = { filename: 'a b.png', subfolder: 'gw/1', type: 'output' } as const;

  it('streams a file with its type and length', async () => {
    const server = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'image/png', 'content-length': '5' });
      response.end('bytes');
    });
    const http = await clientOf(server.url);
    const file = await http.view(picture, SOON);
    expect(file).toMatchObject({ ok: true, status: 200, contentType: 'image/png', contentLength: 5 });
    if (file.ok) expect(await text(file.body)).toBe('bytes');
    expect(server.seen[0]?.url).toBe('/view?filename=a+b.png&subfolder=gw%2F1&type=output');
  });

  it('asks for a part of a file', async () => {
    const server = await serve((_request, response) => response.writeHead(206).end('yte'));
    const http = await clientOf(server.url);
    const file = await http.view(picture, { ...SOON, range: { start: 1, end: 3 } });
    expect(file).toMatchObject({ ok: true, status: 206 });
    if (file.ok) expect(await text(file.body)).toBe('yte');
    expect(server.seen[0]?.headers.range).toBe('bytes=1-3');
  });

  it('names the status of a file that is gone', async () => {
    const { http } = await clientAnswered(404, '');
    expect(await http.view(picture, SOON)).toMatchObject({ ok: false, reason: 'status', status: 404 });
  });

  it('ends the body of a file cut short with an error', async () => {
    const server = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => response.socket?.destroy());
    });
    const http = await clientOf(server.url);
    const file = await http.view(picture, SOON);
    if (!file.ok) throw new Error('no answer');
    await expect(text(file.body)).rejects.toThrow();
  });

  it('lets the deadline end with the head, while the signal still ends the body', async () => {
    const clock = new VirtualClock();
    const server = await serve((_request, response) => {
      response.writeHead(200);
      response.write('first');
    });
    const http = await clientOf(server.url, clock);
    const abort = new AbortController();
    const file = await http.view(picture, { ...SOON, signal: abort.signal });
    expect(clock.pending).toBe(0);
    if (!file.ok) throw new Error('no answer');
    const reading = text(file.body);
    abort.abort();
    await expect(reading).rejects.toThrow();
  });

  it('gives up on a server that takes the request and says nothing (F26)', async () => {
    const clock = new VirtualClock();
    const server = await serve(() => undefined);
    const http = await clientOf(server.url, clock);
    const answer = http.view(picture, { deadlineMs: 3000 });
    await eventually(() => server.seen.length === 1);
    await clock.advance(3000);
    expect(await answer).toMatchObject({ ok: false, reason: 'timeout' });
  });
});

it('calls an answer that is not HTTP malformed', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.resume();
    socket.end('SSH-2.0-OpenSSH\r\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => new Promise((resolve) => server.close(() => resolve())));
  const address = server.address();
  const http = await clientOf(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`);
  expect(await http.getQueue(SOON)).toMatchObject({ ok: false, reason: 'malformed' });
});
