/** ComfyUI's protection against foreign web pages: a loopback Host must have a matching Origin, if there is one. */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

interface Place {
  readonly host: string;
  readonly port: string;
}

function placeOf(text: string, isUrl: boolean): Place | undefined {
  try {
    const authority = isUrl ? text.replace(/^[a-z][a-z0-9+.-]*:\/\//i, '') : text;
    const url = new URL(`http://${authority}`);
    const port = /:(\d+)$/.exec(authority)?.[1] ?? '';
    return { host: url.hostname, port };
  } catch {
    return undefined;
  }
}

function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '');
  return isIP(bare) === 4 ? bare.startsWith('127.') : bare === '::1' || bare === 'localhost';
}

/** Whether the request must be answered 403 (observed: also OPTIONS and /ws; `Origin: null` passes). */
export function isForeign({ headers }: IncomingMessage): boolean {
  const { host, origin } = headers;
  if (host === undefined || origin === undefined || !origin.includes('://')) return false;
  const target = placeOf(host.toLowerCase(), false);
  const source = placeOf(origin.toLowerCase(), true);
  if (!target || !source || !isLoopback(target.host)) return false;
  if (target.host !== source.host) return true;
  return target.port !== '' && source.port !== '' && target.port !== source.port;
}

export function corsHeaders(origin: string): Record<string, string> {
  return {
    'Access-Control-Allow-Origin': origin,
    'Access-Control-Allow-Methods': 'POST, GET, DELETE, PUT, OPTIONS',
    'Access-Control-Allow-Headers': 'Content-Type, Authorization',
    'Access-Control-Allow-Credentials': 'true',
  };
}
