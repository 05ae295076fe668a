import { Socket } from 'node:net';
import { parse, validate } from 'graphql';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { globalId } from '../../src/graphql/global-id.ts';
import { buildSchema } from '../../src/graphql/schema.ts';
import { GRAPHIQL_TABS } from '../../src/http/graphiql-tabs.ts';
import { loadWorkflows } from '../../src/workflows/registry.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

let gateway: TestGateway;
let scheduling = true;
beforeAll(async () => {
  gateway = await startGateway(
    { CORS_ORIGINS: 'https://app.example' },
    { schedulerHealthy: () => scheduling },
  );
});
afterAll(() => gateway.stop());

const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${gateway.url}${path}`, { headers });
const post = (body: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(gateway.graphqlUrl, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });
const codeOf = async (response: Response): Promise<unknown> =>
  ((await response.json()) as { errors: { extensions: { code: string } }[] }).errors[0]?.extensions.code;

describe('request ids', () => {
  it('come back as they were sent, in answers and in the log', async () => {
    for (const path of ['/live', '/nothing', '/graphql?query={__typename}']) {
      const id = `test-${path.length}`;
      const response = await get(path, { 'x-request-id': id });
      expect(response.headers.get('x-request-id')).toBe(id);
      expect(gateway.logs.some((line) => line.requestId === id && line.msg === 'request')).toBe(true);
    }
  });

  it('are made when none comes, or one that is not harmless', async () => {
    expect((await get('/live')).headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    const bad = (await get('/live', { 'x-request-id': '<script>' })).headers.get('x-request-id');
    expect(bad).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('never bring the query of an address into the log', async () => {
    await get('/files/abc?sig=secret');
    expect(JSON.stringify(gateway.logs)).not.toContain('secret');
  });
});

describe('health', () => {
  it('is degraded without instances, healthy with one, critical when none answers or nothing schedules', async () => {
    const empty = await get('/health');
    expect(empty.status).toBe(503);
    expect(await empty.json()).toMatchObject({ status: 'DEGRADED', instancesTotal: 0 });
    await gateway.addInstance('gpu');
    const well = await get('/health');
    expect(well.status).toBe(200);
    const report = (await well.json()) as { status: string; checks: { name: string; ok: boolean }[] };
    expect(report.status).toBe('HEALTHY');
    expect(report.checks.map(({ name }) => name)).toEqual([
      'scheduler',
      'store',
      'bus',
      'storage',
      'instances',
      'instance gpu',
    ]);
    const asked = await gateway.query('{ health { status version checks { name ok message } } }');
    expect(asked.data).toMatchObject({ health: { status: 'HEALTHY', version: '0.0.0-test' } });
    await gateway.addInstance('gpu', { health: 'UNHEALTHY', lastError: 'connection refused' });
    expect(await (await get('/health')).json()).toMatchObject({ status: 'CRITICAL' });
    await gateway.addInstance('gpu', { health: 'HEALTHY' });
    await gateway.addInstance('gpu2', { health: 'UNHEALTHY' });
    expect(await (await get('/status')).text()).toMatch(/^DEGRADED instances 1\/2 jobs 0 up \d+s version 0/);
    scheduling = false;
    expect(await (await get('/health')).json()).toMatchObject({ status: 'CRITICAL' });
    scheduling = true;
  });

  it('says that it lives and is ready', async () => {
    expect((await get('/live')).status).toBe(200);
    expect((await get('/ready')).status).toBe(200);
  });

  it('is not ready while the store does not answer', async () => {
    const broken = vi.spyOn(gateway.store, 'healthy').mockResolvedValue(false);
    expect((await get('/ready')).status).toBe(503);
    broken.mockRestore();
  });
});

describe('requests that are wrong', () => {
  const asks = { accept: 'application/graphql-response+json' };
  it.each([
    ['no JSON', '{', 400, 'BAD_USER_INPUT'],
    ['a list of operations', '[]', 400, 'BAD_USER_INPUT'],
    ['a syntax error', '{"query":"{"}', 400, 'GRAPHQL_PARSE_FAILED'],
    ['an unknown field', '{"query":"{ nothing }"}', 400, 'GRAPHQL_VALIDATION_FAILED'],
    [
      'a wrong type',
      '{"query":"query($a: Int) { jobs(first: $a) { totalCount } }","variables":{"a":"x"}}',
      400,
      'BAD_USER_INPUT',
    ],
    [
      'too many tokens',
      JSON.stringify({ query: `{ ${'__typename '.repeat(3000)} }` }),
      400,
      'GRAPHQL_PARSE_FAILED',
    ],
  ])('are answered with a code: %s', async (_what, body, status, code) => {
    const response = await post(body, asks);
    expect(response.status).toBe(status);
    expect(await codeOf(response)).toBe(code);
  });

  it('may not be deep, full of aliases, or multiply lists', async () => {
    const deep = `{ jobs { nodes { ${'retryOf { '.repeat(12)} id ${'} '.repeat(12)} } } }`;
    const aliases = `{ ${Array.from({ length: 31 }, (_, n) => `a${n}: __typename`).join(' ')} }`;
    const wide =
      '{ jobs(first: 100) { nodes { instance { jobs(first: 100) { nodes { id status workflow } } } } } }';
    const hidden = `fragment F on Job { instance { jobs(first: 100) { nodes { id status workflow } } } } query ($n: Int) { jobs(first: $n) { nodes { ...F } } }`;
    const figures =
      '{ metrics { byInstance { instance { jobs(first: 100) { nodes { id status workflow priority labels instance { id name } attempts { id } outputs { id } } } } } } }';
    const often = `{ ${Array.from({ length: 9 }, (_, n) => `a${n}: metrics { id }`).join(' ')} }`;
    for (const query of [deep, aliases, wide, hidden, figures, often]) {
      expect(await codeOf(await post(JSON.stringify({ query })))).toBe('QUERY_TOO_COMPLEX');
    }
  });

  it('may be the introspection that tools send', async () => {
    const { getIntrospectionQuery } = await import('graphql');
    const { data } = await gateway.query(getIntrospectionQuery());
    expect(data).toHaveProperty('__schema');
  });

  it('are refused above the size limit, announced or not', async () => {
    const body = JSON.stringify({ query: '{ __typename }', extensions: { pad: 'x'.repeat(2 ** 20) } });
    const announced = await post(body);
    expect(announced.status).toBe(413);
    expect(await codeOf(announced)).toBe('PAYLOAD_TOO_LARGE');
    const streamed = await fetch(gateway.graphqlUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: new Blob([body]).stream(),
      duplex: 'half',
    } as RequestInit);
    expect(streamed.status).toBe(413);
  });

  it('are refused when they are neither JSON nor multipart', async () => {
    const response = await post('{"query":"{ __typename }"}', { 'content-type': 'text/plain' });
    expect(response.status).toBe(415);
    expect(await codeOf(response)).toBe('UNSUPPORTED_MEDIA_TYPE');
  });

  it('never show what broke inside, only the id to find it by', async () => {
    const broken = vi.spyOn(gateway.bus, 'latest').mockRejectedValue(new Error('secret of the house'));
    await gateway.addJob();
    const instance = await gateway.addInstance('gpu');
    const job = await gateway.addJob();
    await gateway.assign(job.id, instance);
    const { errors } = await gateway.query(
      'query ($id: ID!) { job(id: $id) { progress { fraction } } }',
      { id: globalId('Job', job.id) },
      { 'x-request-id': 'broken-1' },
    );
    broken.mockRestore();
    expect(errors?.[0]).toMatchObject({
      path: ['job', 'progress'],
      extensions: { code: 'INTERNAL_SERVER_ERROR', requestId: 'broken-1' },
    });
    expect(JSON.stringify(errors)).not.toContain('secret');
    expect(gateway.logs.find((line) => line.msg === 'operation failed')).toMatchObject({
      requestId: 'broken-1',
      err: { message: 'secret of the house' },
    });
  });
});

describe('pages of other origins', () => {
  const preflight = (origin: string): Promise<Response> =>
    fetch(gateway.graphqlUrl, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type',
      },
    });

  it('may call when they are on the list', async () => {
    const response = await preflight('https://app.example');
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-origin')).toBe('https://app.example');
    expect(response.headers.get('access-control-allow-credentials')).toBeNull();
    const asked = await post('{"query":"{ __typename }"}', { origin: 'https://app.example' });
    expect(asked.headers.get('access-control-allow-origin')).toBe('https://app.example');
  });

  it('may not when they are not', async () => {
    expect((await preflight('https://evil.example')).headers.get('access-control-allow-origin')).toBeNull();
    const asked = await post('{"query":"{ __typename }"}', { origin: 'https://evil.example' });
    expect(asked.headers.get('access-control-allow-origin')).toBeNull();
  });
});

describe('GraphiQL', () => {
  it('is one page that needs nothing from elsewhere, compressed and kept by browsers', async () => {
    const response = await get('/graphql', { accept: 'text/html' });
    expect(response.headers.get('content-encoding')).toBe('gzip');
    const html = await response.text();
    expect(html).not.toMatch(/<(script|link)[^>]+(src|href)="https?:/);
    expect(html).toContain('generateImage');
    const etag = response.headers.get('etag') ?? '';
    expect((await get('/graphql', { accept: 'text/html', 'if-none-match': etag })).status).toBe(304);
  });

  it('opens with six examples that the schema takes and that run as they stand', async () => {
    expect(GRAPHIQL_TABS).toHaveLength(6);
    const schema = buildSchema({ workflows: loadWorkflows('workflows').list() });
    for (const query of GRAPHIQL_TABS) {
      expect(validate(schema, parse(query))).toEqual([]);
      if (query.includes('subscription Watch')) continue;
      const { errors } = await gateway.query(query.replace('waitMs: 10000', 'waitMs: 1'));
      expect(errors).toBeUndefined();
    }
  });
});

it('answers garbage on the socket without ending', async () => {
  const { hostname, port } = new URL(gateway.url);
  await new Promise<void>((resolve) => {
    const socket = new Socket();
    socket.on('error', () => resolve());
    socket.on('close', () => resolve());
    socket.connect(Number(port), hostname, () => socket.end('NOT HTTP\r\n\r\n'));
    socket.resume();
  });
  expect((await get('/live')).status).toBe(200);
});
