/** The gateway as proxies see it: whose headers it believes over HTTP and WebSocket, and what it tells them. */
import { Agent, get } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { globalId } from '../../src/graphql/global-id.ts';
import { BareSocket, subscribe } from '../support/bare-socket.ts';
import { eventually } from '../support/eventually.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

const FORWARDED = {
  'x-forwarded-for': '203.0.113.7',
  'x-forwarded-proto': 'https',
  'x-forwarded-host': 'images.example',
};
const JOB = 'job(id: $id) { outputs { ... on ImageOutput { url } } }';

let trusting: TestGateway;
let strict: TestGateway;
beforeAll(async () => {
  trusting = await startGateway({ TRUST_PROXY: 'loopback' });
  strict = await startGateway({ TRUST_PROXY: '192.0.2.0/24' });
});
afterAll(() => Promise.all([trusting.stop(), strict.stop()]));

async function jobWithOutput(gateway: TestGateway): Promise<string> {
  const instance = await gateway.addInstance(`gpu-${Math.random()}`);
  const job = await gateway.addJob();
  await gateway.addOutput(await gateway.assign(job.id, instance), Buffer.from(job.id));
  return globalId('Job', job.id);
}

async function urlOverHttp(gateway: TestGateway): Promise<string> {
  const answer = await gateway.query(
    `query ($id: ID!) { ${JOB} }`,
    { id: await jobWithOutput(gateway) },
    FORWARDED,
  );
  return (answer.data as unknown as { job: { outputs: { url: string }[] } }).job.outputs[0]?.url ?? '';
}

async function urlOverSocket(gateway: TestGateway): Promise<string> {
  const bare = await new BareSocket(gateway.socketUrl, { headers: FORWARDED }).open();
  bare.send(
    subscribe('a', `subscription ($id: ID!) { ${JOB} }`, {
      id: await jobWithOutput(gateway),
    }),
  );
  const { payload } = await bare.until(({ type }) => type === 'next');
  bare.socket.close();
  return (payload as { data: { job: { outputs: { url: string }[] } } }).data.job.outputs[0]?.url ?? '';
}

const clientsLogged = (gateway: TestGateway, msg: string) =>
  gateway.logs.filter((line) => line.msg === msg).map(({ client }) => client);
const statusOf = (gateway: TestGateway, headers: Record<string, string>) =>
  new Promise<string>((resolve) => {
    const { socket } = new BareSocket(gateway.socketUrl, { headers });
    socket.once('open', () => resolve('open'));
    socket.once('unexpected-response', (_request, response) => resolve(String(response.statusCode)));
  });

describe('behind a trusted proxy', () => {
  it('addresses of files are as the client used us, over HTTP and over WebSocket', async () => {
    expect(await urlOverHttp(trusting)).toMatch(/^https:\/\/images\.example\/files\//);
    expect(await urlOverSocket(trusting)).toMatch(/^https:\/\/images\.example\/files\//);
  });

  it('the log names the client, not the proxy', async () => {
    await fetch(`${trusting.url}/live`, { headers: FORWARDED });
    await eventually(() => clientsLogged(trusting, 'request').includes('203.0.113.7'));
    await statusOf(trusting, FORWARDED);
    expect(clientsLogged(trusting, 'socket asked for')).toContain('203.0.113.7');
  });

  it('a page of the host that the client used may open a WebSocket', async () => {
    expect(await statusOf(trusting, { ...FORWARDED, origin: 'https://images.example' })).toBe('open');
    expect(await statusOf(trusting, { ...FORWARDED, origin: 'https://evil.example' })).toBe('403');
  });
});

describe('forged headers of an untrusted peer', () => {
  it('change no address of a file, over HTTP or over WebSocket', async () => {
    expect(await urlOverHttp(strict)).toContain(`${strict.url}/files/`);
    expect(await urlOverSocket(strict)).toContain(`${strict.url}/files/`);
  });

  it('do not come into the log', async () => {
    await fetch(`${strict.url}/live`, { headers: FORWARDED });
    await statusOf(strict, FORWARDED);
    await eventually(() => clientsLogged(strict, 'socket asked for').includes('127.0.0.1'));
    expect(clientsLogged(strict, 'request')).toContain('127.0.0.1');
    expect(JSON.stringify(strict.logs)).not.toContain('203.0.113.7');
  });

  it('let no foreign page open a WebSocket', async () => {
    expect(await statusOf(strict, { ...FORWARDED, origin: 'https://images.example' })).toBe('403');
  });
});

it('server-sent events tell proxies to hand them on at once, and to keep none', async () => {
  const response = await fetch(trusting.graphqlUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify({ query: 'subscription { queue { id } }' }),
  });
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  expect(response.headers.get('x-accel-buffering')).toBe('no');
  expect(response.headers.get('cache-control')).toBe('no-cache, no-store, no-transform');
  await response.body?.cancel();
});

it('while it drains, all is answered, and connections that are kept open are given up', async () => {
  const gateway = await startGateway();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const connectionOf = (path: string) =>
    new Promise((resolve, reject) => {
      get(`${gateway.url}${path}`, { agent }, (response) => {
        response.resume();
        response.once('end', () => resolve([response.statusCode, response.headers.connection]));
      }).once('error', reject);
    });
  const query = `/graphql?query=${encodeURIComponent('{ __typename }')}`;
  expect(await connectionOf(query)).toEqual([200, 'keep-alive']);
  gateway.http.drain();
  expect(await connectionOf(query)).toEqual([200, 'close']);
  expect(await connectionOf('/ready')).toEqual([503, 'close']);
  agent.destroy();
  await gateway.stop();
});
