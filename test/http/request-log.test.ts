/** One line for each request and operation: who asked what, and what it came to. */
import { Agent, request } from 'node:http';
import { createClient } from 'graphql-sse';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fileAccess } from '../../src/graphql/file-urls.ts';
import { BareSocket, subscribe } from '../support/bare-socket.ts';
import { eventually } from '../support/eventually.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway.stop());

type Line = Record<string, unknown>;
const linesOf = (requestId: string): Line[] => gateway.logs.filter((line) => line.requestId === requestId);
const lineOf = (requestId: string, msg = 'request'): Promise<Line> =>
  eventually(() => linesOf(requestId).find((line) => line.msg === msg));

/** Over a connection of its own, kept for the next. */
async function post(requestId: string, body: string, agent: Agent): Promise<void> {
  const headers = { 'content-type': 'application/json', 'x-request-id': requestId, 'user-agent': 'shop/1.0' };
  await new Promise<void>((resolve, reject) => {
    const asking = request(gateway.graphqlUrl, { method: 'POST', headers, agent }, (answer) => {
      answer.resume().once('end', resolve);
    });
    asking.once('error', reject).end(body);
  });
}

describe('a request', () => {
  it('is one line: who, what, how long, how much, and which operation', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const query = JSON.stringify({ query: 'query Shop { jobs { totalCount } }' });
    const large = JSON.stringify({ query: `query Shop { jobs { totalCount } } #${'x'.repeat(10_000)}` });
    await post('line-1', query, agent);
    await post('line-2', large, agent);
    agent.destroy();
    const [first, second] = [await lineOf('line-1'), await lineOf('line-2')];
    expect(first).toEqual({
      ...{ level: 30, time: expect.any(String), msg: 'request', requestId: 'line-1' },
      ...{ client: '127.0.0.1', userAgent: 'shop/1.0', method: 'POST', path: '/graphql', status: 200 },
      ...{ ms: expect.any(Number), requestBytes: expect.any(Number), responseBytes: expect.any(Number) },
      ...{ transport: 'http', operation: 'query', operationName: 'Shop', outcome: 'ok' },
    });
    const bytes = ({ requestBytes, responseBytes }: Line) => [Number(requestBytes), Number(responseBytes)];
    // content-length has two digits more
    expect((bytes(second)[0] ?? 0) - (bytes(first)[0] ?? 0)).toBe(large.length - query.length + 3);
    expect(bytes(second)[1]).toBe(bytes(first)[1]);
    expect([linesOf('line-1').length, linesOf('line-2').length]).toEqual([1, 1]);
  });

  it('says which errors it was answered with, and nothing of what it held', async () => {
    await gateway.query(
      'query Wrong($hush: String) { hushField(a: $hush) }',
      { hush: 'hush-hush' },
      { 'x-request-id': 'wrong-1' },
    );
    expect(await lineOf('wrong-1')).toMatchObject({
      operation: 'query',
      operationName: 'Wrong',
      outcome: 'error',
      codes: ['GRAPHQL_VALIDATION_FAILED'],
    });
    await gateway.query('{ hush', {}, { 'x-request-id': 'wrong-2' });
    expect(await lineOf('wrong-2')).toMatchObject({ operation: null, codes: ['GRAPHQL_PARSE_FAILED'] });
    expect(JSON.stringify(gateway.logs)).not.toContain('hush');
  });

  it('that a client breaks off says so', async () => {
    const headers = { 'x-request-id': 'broken-1', 'content-type': 'application/json', 'content-length': 100 };
    const asking = request(gateway.graphqlUrl, { method: 'POST', headers });
    asking.on('error', () => undefined);
    asking.flushHeaders();
    asking.write('{"query":', () => setImmediate(() => asking.destroy()));
    expect(await lineOf('broken-1')).toMatchObject({ path: '/graphql', status: null, cut: true });
    expect(linesOf('broken-1')).toHaveLength(1);
  });

  it('from a name too long shows the beginning of it', async () => {
    await fetch(`${gateway.url}/${'p'.repeat(900)}`, {
      headers: { 'x-request-id': 'long-1', 'user-agent': 'u'.repeat(900) },
    });
    const { path, userAgent } = await lineOf('long-1');
    expect([String(path).length, String(userAgent).length]).toEqual([200, 200]);
  });
});

describe('a gateway that is only probed', () => {
  it('says nothing above debug, whatever the probes are answered', async () => {
    for (const path of ['/health', '/status', '/live', '/ready', '/metrics?x=1']) {
      await fetch(`${gateway.url}${path}`, { headers: { 'x-request-id': 'probe' } });
    }
    await eventually(() => linesOf('probe').length === 5);
    expect(linesOf('probe').map(({ level }) => level)).toEqual([20, 20, 20, 20, 20]);
  });
});

describe('every answer has an id', () => {
  it.each([
    ['a file', () => `/files/none?${gateway.signer.sign(fileAccess('none'), Date.now())}`, {}],
    ['a refused file', () => '/files/none', {}],
    ['an unknown path', () => '/none', { method: 'POST' }],
    ['a method that is not served', () => '/graphql', { method: 'DELETE' }],
    ['a preflight', () => '/graphql', { method: 'OPTIONS' }],
    ['a broken path', () => '/%zz', {}],
    ['the playground', () => '/graphql', { headers: { accept: 'text/html' } }],
  ])('%s', async (what, path, init: RequestInit) => {
    const requestId = `any-${what.replaceAll(' ', '-')}`;
    const answer = await fetch(gateway.url + path(), {
      ...init,
      headers: { ...init.headers, 'x-request-id': requestId },
    });
    expect(answer.headers.get('x-request-id')).toBe(requestId);
    await lineOf(requestId);
    expect(linesOf(requestId)).toHaveLength(1);
  });

  it('a WebSocket that is refused, too', async () => {
    const url = gateway.socketUrl.replace('/graphql', '/elsewhere?hush');
    const { socket } = new BareSocket(url, { headers: { 'x-request-id': 'refused-1' } });
    const headers = await new Promise<Record<string, unknown>>((resolve) => {
      socket.once('unexpected-response', (_asked, response) => resolve(response.headers));
    });
    expect(headers['x-request-id']).toBe('refused-1');
    expect(await lineOf('refused-1', 'socket refused')).toMatchObject({ status: 404, path: '/elsewhere' });
  });
});

describe('subscriptions', () => {
  it('over server-sent events are one line, when they end', async () => {
    const client = createClient({
      url: gateway.graphqlUrl,
      headers: { 'x-request-id': 'events-1', accept: 'text/event-stream' },
    });
    const results = client.iterate({ query: 'subscription Watch { queue { pending } }' });
    expect((await results.next()).done).toBe(false);
    expect(linesOf('events-1')).toEqual([]);
    client.dispose();
    expect(await lineOf('events-1')).toMatchObject({
      ...{ path: '/graphql', status: 200, cut: true },
      ...{ transport: 'sse', operation: 'subscription', operationName: 'Watch', outcome: 'ok' },
    });
    expect(linesOf('events-1')).toHaveLength(1);
  });

  it('and queries over WebSocket are one line each, under the id of the socket', async () => {
    const bare = await new BareSocket(gateway.socketUrl, {
      headers: { 'x-request-id': 'socket-1', 'user-agent': 'app/2' },
    }).open();
    bare.send(subscribe('a', 'query Once { jobs { totalCount } }'));
    await bare.until(({ type, id }) => type === 'complete' && id === 'a');
    bare.send(subscribe('b', 'subscription Watch { queue { pending } }'));
    await bare.until(({ type, id }) => type === 'next' && id === 'b');
    bare.socket.close();
    await lineOf('socket-1', 'socket closed');
    await eventually(() => linesOf('socket-1').filter(({ msg }) => msg === 'operation').length === 2);
    const [asked, ...others] = linesOf('socket-1');
    expect(asked).toMatchObject({
      msg: 'socket asked for',
      client: '127.0.0.1',
      userAgent: 'app/2',
      path: '/graphql',
    });
    const about = ({ msg, operation, operationName, transport, outcome }: Line) => [
      msg,
      operation,
      operationName,
      transport,
      outcome,
    ];
    expect(others.filter(({ msg }) => msg === 'operation').map(about)).toEqual([
      ['operation', 'query', 'Once', 'websocket', 'ok'],
      ['operation', 'subscription', 'Watch', 'websocket', 'ok'],
    ]);
    expect(others.find(({ msg }) => msg === 'socket closed')).toMatchObject({
      code: expect.any(Number),
      ms: expect.any(Number),
      requestBytes: expect.any(Number),
    });
  });
});
