/** Requests that nobody should send: made from a seed, so that each can be made again. Shared by a test and a scenario. */
import { connect } from 'node:net';
import { WebSocket } from 'ws';

export interface MalformedResult {
  readonly what: string;
  /** Of the HTTP answer; null for none. */
  readonly status: number | null;
  readonly ms: number;
}

type Random = () => number;
type Send = (url: string, random: Random) => Promise<number | null>;

const pick = <T>(random: Random, items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;

const VALUES: readonly ((random: Random) => string)[] = [
  () => '1e400',
  () => '-0',
  () => `${'9'.repeat(400)}`,
  () => '"\\ud800"',
  () => '"\\u0000"',
  () => 'null',
  () => '[]',
  () => '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}',
  (random) => '['.repeat(1 + Math.floor(random() * 5000)),
  (random) => `${'{"a":'.repeat(500 + Math.floor(random() * 500))}1${'}'.repeat(500)}`,
  (random) => JSON.stringify(noise(random, 300)),
];

const QUERIES: readonly ((random: Random) => string)[] = [
  () => '{',
  () => '{ jobs(first: 99999999999) { totalCount } }',
  () => '{ job(id: "\\uD83D") { id } }',
  () => 'subscription { queue { id } jobs { id } }',
  () => `{ ${'a: __typename '.repeat(400)} }`,
  (random) => `{ ${'jobs { nodes { instance { '.repeat(1 + Math.floor(random() * 400))}`,
  () => 'fragment A on Query { ...B } fragment B on Query { ...A } { ...A }',
  () => 'query ($a: Int!, $a: Int!) { jobs(first: $a) { totalCount } }',
  () => 'mutation { submitJob(input: { graph: { a: 1 }, workflow: "x" }) { __typename } }',
  () =>
    'mutation { submitJob(input: { graph: { a: { class_type: "X", inputs: { b: ["a", 0] } } } }) { __typename } }',
  () => '{ jobs(filter: { label: { __proto__: 1 }, createdAfter: "yesterday-ish" }) { totalCount } }',
  () => '{ __schema { types { fields { type { fields { type { name } } } } } } }',
  (random) => noise(random, 200),
];

function noise(random: Random, length: number): string {
  return String.fromCharCode(...Array.from({ length }, () => Math.floor(random() * 0xffff)));
}

/** Null when the connection was cut: a body that is refused early is not read to its end. */
async function post(
  url: string,
  body: string | Uint8Array,
  headers: Record<string, string>,
): Promise<number | null> {
  try {
    const response = await fetch(`${url}/graphql`, { method: 'POST', headers, body: body as BodyInit });
    await response.arrayBuffer();
    return response.status;
  } catch {
    return null;
  }
}

const json = { 'content-type': 'application/json' };

const SENDERS: Readonly<Record<string, Send>> = {
  'a body that is no JSON': (url, random) => post(url, pick(random, VALUES)(random), json),
  'a query that is none': (url, random) =>
    post(url, JSON.stringify({ query: pick(random, QUERIES)(random) }), json),
  'values of wrong kinds': (url, random) =>
    post(
      url,
      `{"query":${pick(random, VALUES)(random)},"variables":${pick(random, VALUES)(random)},"operationName":7}`,
      json,
    ),
  'variables that do not fit': (url, random) =>
    post(
      url,
      `{"query":"mutation($i: SubmitJobInput!){submitJob(input:$i){__typename}}","variables":{"i":{"graph":${pick(random, VALUES)(random)},"labels":${pick(random, VALUES)(random)},"priority":1e99}}}`,
      json,
    ),
  'a wrong content type': (url, random) =>
    post(url, '{"query":"{__typename}"}', {
      'content-type': pick(random, [
        'text/plain',
        'application/xml',
        'multipart/form-data',
        'a/b; charset=\u00ff',
        ',',
      ]),
    }),
  'a broken multipart body': (url, random) =>
    post(
      url,
      `--x\r\ncontent-disposition: form-data; name="${noise(random, 3)}"\r\n\r\n${noise(random, 50)}`,
      {
        'content-type': 'multipart/form-data; boundary=x',
        'graphql-require-preflight': '1',
      },
    ),
  'a multipart map to nowhere': (url, random) =>
    post(
      url,
      `--x\r\ncontent-disposition: form-data; name="operations"\r\n\r\n{"query":"{__typename}","variables":{}}\r\n--x\r\ncontent-disposition: form-data; name="map"\r\n\r\n{"0":["${pick(random, ['variables.__proto__.a', 'query.0', '..', 'variables'])}"]}\r\n--x--\r\n`,
      { 'content-type': 'multipart/form-data; boundary=x', 'graphql-require-preflight': '1' },
    ),
  'an address that leads nowhere': async (url, random) => {
    const path = pick(random, [
      '/files/%ff',
      '/files/..%2f..%2fetc%2fpasswd?exp=1&sig=x',
      '/files/preview/%00?rev=NaN',
      `/${'a'.repeat(3000)}`,
      '/graphql?query=%7B%22',
      '/graphql?query={jobs}&variables=[',
      '//',
      '/health?%',
    ]);
    const response = await fetch(`${url}${path}`, { headers: { range: 'bytes=9-1,,' } });
    await response.arrayBuffer();
    return response.status;
  },
  'bytes that are no request': (url, random) =>
    raw(
      url,
      pick(random, [
        'GET / HTTP/9.9\r\n\r\n',
        `GET /graphql HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(40_000)}\r\n\r\n`,
        'POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n',
        'POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        'POST /graphql HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
        'GET /graphql HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 1\r\n\r\n',
        noise(random, 100),
      ]),
    ),
  'half a request': (url) =>
    raw(
      url,
      'POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"que',
      true,
    ),
  'messages that break the protocol': (url, random) => socket(url, random),
};

/** Writes the bytes; the status of the answer, null when the connection just ends. */
function raw(url: string, bytes: string, leave = false): Promise<number | null> {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(url);
    const connection = connect({ host: hostname, port: Number(port) });
    let answer = '';
    connection.on('error', () => undefined);
    connection.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1');
      connection.destroy();
    });
    connection.on('close', () => resolve(Number(/^HTTP\/1.1 (\d+)/.exec(answer)?.[1] ?? 0) || null));
    connection.on('connect', () => {
      connection.write(bytes, 'latin1', () => {
        if (leave) connection.destroy();
        // whoever waits for more of it is left
        else connection.setTimeout(200, () => connection.destroy());
      });
    });
  });
}

/** Ends when the gateway closes the socket, or answers the last message. */
function socket(url: string, random: Random): Promise<null> {
  return new Promise((resolve) => {
    const client = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    const messages = [
      '{"type":"subscribe","id":"1","payload":{"query":"{__typename}"}}',
      '{"type":"subscribe","id":"1"}',
      '{"type":"connection_init"}',
      '{"type":"next","id":"1","payload":{}}',
      '{"type":"complete","id":"__proto__"}',
      '{"type":"subscribe","id":"__proto__","payload":{"query":"subscription { queue { id } }"}}',
      '{"type":"ping","payload":7}',
      `{"type":"subscribe","id":"q","payload":{"query":${JSON.stringify(pick(random, QUERIES)(random))}}}`,
      pick(random, VALUES)(random),
      noise(random, 50),
    ];
    client.on('error', () => undefined);
    client.on('close', () => resolve(null));
    client.on('open', () => {
      if (random() < 0.8) client.send('{"type":"connection_init"}');
      for (let n = 0; n < 4; n++) client.send(pick(random, messages), { binary: random() < 0.2 });
      if (random() < 0.2)
        (client as unknown as { _socket: { write(bytes: Buffer): void } })._socket.write(
          Buffer.from([0xff, 0xff, 0x00]),
        );
      client.ping();
    });
    client.on('pong', () => client.terminate());
  });
}

/** One after another of each kind, `count` in all. */
export async function sendMalformed(
  url: string,
  count: number,
  random: Random,
  hear: (result: MalformedResult) => void,
): Promise<void> {
  const kinds = Object.entries(SENDERS);
  for (let n = 0; n < count; n++) {
    const [what, send] = pick(random, kinds);
    const began = performance.now();
    const status = await send(url, random);
    hear({ what, status, ms: performance.now() - began });
  }
}
