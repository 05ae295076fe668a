/** How an enemy answers a request: with broken HTTP, wrong lengths, no end, no answer, or a body that is not what it should be. */
import type { ServerResponse } from 'node:http';
import type { Json, JsonObject } from '../../src/lib/json.ts';
import {
  anyJson,
  deep,
  doubled,
  heavy,
  oneOf,
  type Random,
  twisted,
  withBareNumbers,
} from './hostile-json.ts';

export interface Spite {
  readonly random: Random;
  /** Longest silence before the connection is cut, in ms. */
  readonly longestHangMs: number;
  /** Of the largest body. */
  readonly largestBytes: number;
  /** Writes down what was done. */
  readonly note: (kind: string) => void;
}

type Trick = (response: ServerResponse, honest: JsonObject, spite: Spite) => void;

/** Answers a request wrongly; `honest` is what a good server would say. */
export function spoil(response: ServerResponse, honest: JsonObject, spite: Spite): void {
  const [kind, trick] = oneOf(spite.random, TRICKS);
  spite.note(kind);
  trick(response, honest, spite);
}

export function sendJson(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
  response.end(body);
}

const STATUSES = [
  201, 202, 204, 206, 301, 304, 400, 401, 403, 404, 408, 413, 418, 429, 500, 502, 503, 504,
] as const;

const TRICKS: readonly [[string, Trick], ...[string, Trick][]] = [
  ['twisted', (response, honest, { random }) => ok(response, JSON.stringify(twisted(honest, random)))],
  [
    'twisted hard',
    (response, honest, { random }) => ok(response, JSON.stringify(twisted(honest, random, 0.4))),
  ],
  ['another type', (response, _honest, { random }) => ok(response, JSON.stringify(anyJson(random)))],
  [
    'deep',
    (response, _honest, { random }) => ok(response, deep(1 + Math.floor(random() * 200_000), random() < 0.5)),
  ],
  [
    'heavy',
    (response, honest, { random, largestBytes }) =>
      ok(response, heavy(honest, random() * largestBytes, random)),
  ],
  ['doubled keys', (response, honest, { random }) => ok(response, doubled(honest, random))],
  ['NaN', (response, honest, { random }) => ok(response, withBareNumbers(honest, random))],
  ['half', (response, honest) => ok(response, JSON.stringify(honest).slice(0, -3))],
  ['nothing', (response) => ok(response, '')],
  ['a page', (response) => ok(response, '<!doctype html><title>Just a moment...</title>')],
  [
    'not UTF-8',
    (response) => void response.writeHead(200).end(Buffer.from([0x22, 0xff, 0xfe, 0xc0, 0x80, 0x22])),
  ],
  ['a status', (response, honest, { random }) => aStatus(response, honest, random)],
  ['cut short', (response, honest) => cutShort(response, JSON.stringify(honest))],
  ['longer than announced', (response, honest) => raw(response, length(JSON.stringify(honest), -4))],
  [
    'two lengths',
    (response, honest) => raw(response, `Content-Length: 3\r\n${length(JSON.stringify(honest), 0)}`),
  ],
  ['a bad chunk', (response) => raw(response, 'Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n')],
  [
    'a chunk of terabytes',
    (response) => raw(response, 'Transfer-Encoding: chunked\r\n\r\nfffffffffff\r\n{}'),
  ],
  ['wide headers', (response) => raw(response, `X-Wide: ${'w'.repeat(200_000)}\r\n${length('{}', 0)}`)],
  ['many headers', (response) => raw(response, `${'X-Many: 1\r\n'.repeat(5000)}${length('{}', 0)}`)],
  ['not HTTP', (response) => cut(response, 'SSH-2.0-OpenSSH_9.6\r\n')],
  ['continue for ever', (response) => cut(response, 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(1000))],
  ['claims gzip', (response) => raw(response, `Content-Encoding: gzip\r\n${length('{}', 0)}`)],
  ['reset', (response) => cut(response, '')],
  ['silence', (response, _honest, spite) => hang(response, spite)],
  ['no end', (response, _honest, spite) => endless(response, spite)],
];

function ok(response: ServerResponse, body: string): void {
  sendJson(response, 200, body);
}

function aStatus(response: ServerResponse, honest: JsonObject, random: Random): void {
  const status = oneOf(random, STATUSES);
  if (status === 204 || status === 304) response.writeHead(status).end();
  else if (status === 301) response.writeHead(301, { location: 'http://127.0.0.1:9/' }).end();
  else
    sendJson(
      response,
      status,
      random() < 0.5 ? 'Internal Server Error' : JSON.stringify(wrapped(honest, random)),
    );
}

function wrapped(honest: JsonObject, random: Random): Json {
  return { error: anyJson(random), node_errors: anyJson(random), ...honest };
}

function cutShort(response: ServerResponse, body: string): void {
  response.writeHead(200, { 'content-length': Buffer.byteLength(body) + 1000 });
  response.write(body);
  setImmediate(() => response.destroy());
}

function length(body: string, more: number): string {
  return `Content-Length: ${Math.max(0, Buffer.byteLength(body) + more)}\r\n\r\n${body}`;
}

/** Headers and body as they are, past everything that would keep them correct. */
function raw(response: ServerResponse, rest: string): void {
  cut(response, `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n${rest}`);
}

/** Writes the bytes to the connection and closes it. */
function cut(response: ServerResponse, bytes: string): void {
  const { socket } = response;
  if (!socket) return;
  socket.on('error', () => undefined);
  if (bytes === '') socket.resetAndDestroy();
  else socket.end(bytes);
}

/** No answer for a while, then the end of the connection. */
export function hang(response: ServerResponse, { random, longestHangMs }: Spite): void {
  const timer = setTimeout(() => response.destroy(), random() * longestHangMs);
  response.on('close', () => clearTimeout(timer));
}

/** A body that goes on until the reader leaves or so many bytes were sent. */
export function endless(response: ServerResponse, { random, largestBytes }: Spite): void {
  const piece = Buffer.alloc(64 * 1024, ' ');
  const slow = random() < 0.3;
  let left = largestBytes * 4;
  response.writeHead(200, { 'content-type': 'application/json' });
  const more = (): void => {
    if (response.destroyed) return;
    left -= piece.length;
    if (left < 0) response.destroy();
    else if (slow) response.write(' ');
    else if (!response.write(piece)) {
      response.once('drain', more);
      return;
    }
    timer = setTimeout(more, slow ? 100 : 0);
  };
  let timer = setTimeout(more, 0);
  const stop = setTimeout(() => response.destroy(), slow ? 3000 : 20_000);
  response.on('close', () => {
    clearTimeout(timer);
    clearTimeout(stop);
  });
}
