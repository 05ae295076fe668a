/** Answers as aiohttp gives them: what is JSON, what is empty, and what an unhandled exception looks like. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { toJsonText } from './python-json.ts';

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  /** Path without the /api prefix. */
  readonly path: string;
  readonly compress: boolean;
}

/** The body is over --max-upload-size. */
export class BodyTooLarge extends Error {}

function finish(
  { request, response, compress }: Exchange,
  status: number,
  type: string | undefined,
  body: Buffer,
): void {
  const headers: Record<string, string | number> = {};
  if (type !== undefined) headers['Content-Type'] = type;
  let sent = body;
  const squeezable = type !== undefined && (type.startsWith('application/json') || type.startsWith('text/'));
  if (compress && squeezable && /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''))) {
    sent = gzipSync(body);
    headers['Content-Encoding'] = 'gzip';
  }
  headers['Content-Length'] = sent.length;
  response.writeHead(status, headers);
  response.end(request.method === 'HEAD' ? undefined : sent);
}

export function sendJson(exchange: Exchange, value: unknown, status = 200): void {
  finish(exchange, status, 'application/json; charset=utf-8', Buffer.from(toJsonText(value)));
}
export function sendText(exchange: Exchange, status: number, text: string): void {
  finish(exchange, status, 'text/plain; charset=utf-8', Buffer.from(text));
}
/** No body and no content type. */
export function sendEmpty(exchange: Exchange, status = 200): void {
  finish(exchange, status, undefined, Buffer.alloc(0));
}
export function sendBytes(exchange: Exchange, bytes: Buffer, type: string): void {
  finish(exchange, 200, type, bytes);
}

/** What stands in for the user interface. */
export function sendPage(exchange: Exchange): void {
  const headers = { 'Cache-Control': 'no-cache', Pragma: 'no-cache', Expires: '0', 'Accept-Ranges': 'bytes' };
  for (const [name, value] of Object.entries(headers)) exchange.response.setHeader(name, value);
  sendBytes(exchange, Buffer.from('<html></html>\n'), 'text/html');
}

/** What the static file route answers for an unknown path. */
export function sendNotFound({ response }: Exchange): void {
  response.writeHead(404, { 'Content-Type': 'application/octet-stream', 'Transfer-Encoding': 'chunked' });
  response.end();
}
export function sendNotAllowed(exchange: Exchange, allow: string): void {
  exchange.response.setHeader('Allow', allow);
  sendText(exchange, 405, '405: Method Not Allowed');
}
export function sendCrash(exchange: Exchange): void {
  exchange.response.setHeader('Connection', 'close');
  sendText(exchange, 500, '500 Internal Server Error\n\nServer got itself in trouble');
}

/** The whole body. Rejects with BodyTooLarge beyond `limit` bytes, after having let the rest pass by. */
export function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let size = 0;
    request.on('data', (part: Buffer) => {
      size += part.length;
      if (size <= limit) parts.push(part);
      else parts.length = 0;
    });
    request.on('end', () => {
      if (size > limit) reject(new BodyTooLarge());
      else resolve(parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts));
    });
    request.on('error', reject);
  });
}
