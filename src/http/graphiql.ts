/**
 * GraphiQL, served whole from this process: the page loads nothing from elsewhere, so it works offline. It is large, so
 * it is compressed once, on first use, and browsers keep it.
 */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { renderGraphiQL } from '@graphql-yoga/render-graphiql';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { GRAPHIQL_TABS } from './graphiql-tabs.ts';

const compress = promisify(gzip);
const expand = promisify(gunzip);

interface Rendered {
  readonly body: Buffer;
  readonly etag: string;
}

export class GraphiqlPage {
  #rendered: Promise<Rendered> | undefined;

  async send(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    this.#rendered ??= render();
    const { body, etag } = await this.#rendered;
    reply
      .header('etag', etag)
      .header('cache-control', 'no-cache')
      .header('vary', 'accept, accept-encoding')
      .header('x-content-type-options', 'nosniff')
      .header('content-security-policy', POLICY);
    if (request.headers['if-none-match'] === etag) return reply.code(304).send();
    reply.type('text/html; charset=utf-8');
    if (!/\bgzip\b/.test(request.headers['accept-encoding'] ?? '')) return reply.send(await expand(body));
    return reply.header('content-encoding', 'gzip').send(body);
  }
}

/** A browser that opens the address; clients that ask for data say so. */
export function acceptsPage({ method, headers, query }: FastifyRequest): boolean {
  const asksForData = typeof query === 'object' && query !== null && 'query' in query;
  return method === 'GET' && !asksForData && (headers.accept ?? '').includes('text/html');
}

const POLICY = [
  "default-src 'self'",
  "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "font-src 'self' data:",
  "worker-src 'self' blob:",
  "connect-src 'self' ws: wss: data: blob:",
  "frame-ancestors 'none'",
].join('; ');

async function render(): Promise<Rendered> {
  const html = renderGraphiQL({
    title: 'Comfyfleet',
    subscriptionsProtocol: 'SSE',
    defaultTabs: GRAPHIQL_TABS.map((query) => ({ query })),
  });
  const etag = `"${createHash('sha256').update(html).digest('base64url').slice(0, 27)}"`;
  return { body: await compress(html), etag };
}
