/** Reads the bodies of GraphQL requests: JSON, counted while it comes in, and multipart. Anything else is not accepted. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { GraphQLParams, Plugin } from 'graphql-yoga';
import { codedError } from '../graphql/coded-error.ts';
import type { GraphqlContext } from '../graphql/context.ts';
import type { TransportContext } from '../graphql/engine.ts';
import type { Clock } from '../lib/clock.ts';
import { isObject } from '../lib/json.ts';
import type { Trust } from './forwarded.ts';
import { type MultipartLimits, readMultipart } from './multipart.ts';
import { isCrossSite } from './request-info.ts';

export interface BodyOptions {
  readonly maxJsonBytes: number;
  readonly multipart: MultipartLimits;
  /** Origins whose pages may send files without a preflight header. */
  readonly allowedOrigins: readonly string[];
  /** Whose word on the host that a page used is taken. */
  readonly trust: Trust;
  readonly clock: Clock;
}

/** Any of these makes a browser ask first (a CORS preflight), so a foreign page cannot have sent the request unasked. */
export const PREFLIGHT_HEADERS = [
  'apollo-require-preflight',
  'graphql-require-preflight',
  'x-graphql-yoga-csrf',
  'x-apollo-operation-name',
] as const;

interface NodeContext extends TransportContext {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

export function useRequestBodies(options: BodyOptions): Plugin<object, NodeContext, GraphqlContext> {
  return {
    onRequestParse({ request, serverContext, setRequestParser }) {
      const { req, res } = serverContext;
      if (request.method === 'GET') refuseBrokenQuery(req);
      if (request.method !== 'POST') return;
      const type = (req.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
      if (type === 'application/json' || type === 'application/graphql+json') {
        setRequestParser(() => readJson(req, options.maxJsonBytes));
      } else if (type === 'multipart/form-data') {
        refuseForeignPages(req, options);
        setRequestParser(() => readMultipart(req, res, options.multipart, options.clock));
      } else {
        throw codedError('UNSUPPORTED_MEDIA_TYPE', 'send application/json or multipart/form-data', 415);
      }
    },
  };
}

/** What of the address is JSON, must be. */
function refuseBrokenQuery(request: IncomingMessage): void {
  const given = new URLSearchParams(request.url?.split('?', 2)[1] ?? '');
  for (const name of ['variables', 'extensions']) {
    const text = given.get(name);
    if (text !== null && text !== '') parseJson(text, `"${name}" is not JSON`);
  }
}

function parseJson(text: string, complaint: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw codedError('BAD_USER_INPUT', complaint, 400);
  }
}

/** A page of another site can post a form without asking; it cannot set a header without asking. */
function refuseForeignPages(request: IncomingMessage, { trust, allowedOrigins }: BodyOptions): void {
  if (PREFLIGHT_HEADERS.some((name) => request.headers[name] !== undefined)) return;
  if (!isCrossSite(request, trust, allowedOrigins)) return;
  throw codedError('CSRF_HEADER_MISSING', `set the header ${PREFLIGHT_HEADERS[0]}`, 403);
}

async function readJson(request: IncomingMessage, maxBytes: number): Promise<GraphQLParams> {
  const text = await readText(request, maxBytes);
  const body = parseJson(text, 'the body is not JSON');
  if (!isObject(body)) throw codedError('BAD_USER_INPUT', 'the body must be one JSON object', 400);
  return body;
}

async function readText(request: IncomingMessage, maxBytes: number): Promise<string> {
  const tooLarge = () => codedError('PAYLOAD_TOO_LARGE', `the body may have ${maxBytes} bytes`, 413);
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes) break;
      chunks.push(chunk);
    }
  } catch {
    throw codedError('BAD_USER_INPUT', 'the request broke off', 400);
  }
  if (bytes > maxBytes) throw tooLarge();
  return Buffer.concat(chunks).toString('utf8');
}
