/** Who a request says it is: its id, kept when it is harmless in logs and headers, and the address the client used. */

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Config } from '../config.ts';
import type { RequestInfo } from '../graphql/context.ts';
import { clientSideOf, type Trust } from './forwarded.ts';

const SAFE_ID = /^[A-Za-z0-9][\w.:-]{0,127}$/;

export function requestIdOf(headers: IncomingHttpHeaders, makeId: () => string): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && SAFE_ID.test(given) ? given : makeId();
}

/** `fallback` is used when the request names no host that could be part of an address. */
export function requestInfoOf(
  request: IncomingMessage,
  trust: Trust,
  requestId: string,
  fallback: string,
): RequestInfo {
  const { scheme, host } = clientSideOf(request, trust);
  const { traceparent } = request.headers;
  return {
    requestId,
    origin: host === null ? fallback : `${scheme}://${host}`,
    ...(typeof traceparent === 'string' && { traceparent }),
  };
}

/**
 * Whether a browser page of another site sent the request. Browsers name the page's origin; other clients do not.
 * `allowed` are origins such as https://app.example.com.
 */
export function isCrossSite(request: IncomingMessage, trust: Trust, allowed: readonly string[]): boolean {
  const { origin } = request.headers;
  if (origin === undefined) return false;
  return (
    !allowed.includes(origin) && origin.replace(/^https?:\/\//, '') !== clientSideOf(request, trust).host
  );
}

/** Origins whose pages may call: those of the configuration, and our own as clients see it. */
export function allowedOrigins({
  corsOrigins,
  publicUrl,
}: Pick<Config, 'corsOrigins' | 'publicUrl'>): string[] {
  return publicUrl ? [...corsOrigins, new URL(publicUrl).origin] : [...corsOrigins];
}
