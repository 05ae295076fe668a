/**
 * What a request was when it left its client, where proxies stand between (TRUST_PROXY): HTTP and WebSocket requests are
 * read by the same rule. Headers count only when a trusted proxy sent them, anybody else could have made them up.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { all, compile } from '@fastify/proxy-addr';
import type { TrustProxy } from '../config.ts';

/** Whether the proxy at this address, so many hops away (our peer is 0), is believed. */
export type Trust = (address: string, hop: number) => boolean;

/** The client's side of a request. */
export interface ClientSide {
  /** Its IP address, or `unknown`. */
  readonly address: string;
  readonly scheme: 'http' | 'https';
  /** The host and port it used; null when it named none that could be part of an address. */
  readonly host: string | null;
}

const SAFE_HOST = /^[A-Za-z0-9.[\]:_-]{1,255}$/;
const SECURE = /^(https|wss)$/i;

export function trustOf(setting: TrustProxy): Trust {
  if (typeof setting === 'boolean') return () => setting;
  if (typeof setting === 'number') return (_address, hop) => hop < setting;
  return setting.length === 0 ? () => false : compile([...setting]);
}

export function clientSideOf(request: IncomingMessage, trust: Trust): ClientSide {
  const { headers, socket } = request;
  const believed = socket.remoteAddress !== undefined && trust(socket.remoteAddress, 0);
  const forwarded = (name: string) => (believed ? newest(headers[name]) : undefined);
  const host = forwarded('x-forwarded-host') ?? headers.host;
  return {
    address: addressOf(request, trust),
    scheme: SECURE.test(forwarded('x-forwarded-proto') ?? '') ? 'https' : 'http',
    host: host !== undefined && SAFE_HOST.test(host) ? host : null,
  };
}

/** Of several proxies that added to the header, what our peer says: the others may be the client's invention. */
function newest(header: string | string[] | undefined): string | undefined {
  const last = header?.toString().split(',').at(-1)?.trim();
  return last === '' ? undefined : last;
}

/** The nearest address that is no trusted proxy's. What a proxy was told and is no address, counts as not told. */
function addressOf(request: IncomingMessage, trust: Trust): string {
  const addresses = all(request, trust).map((text) => (text ? plainAddress(text) : ''));
  return addresses.findLast((text) => isIP(text) !== 0) ?? 'unknown';
}

/** Without a port, and IPv4 as such. */
function plainAddress(text: string): string {
  const [, inBrackets] = /^\[(.+)\](?::\d+)?$/.exec(text) ?? [];
  const [, beforePort] = /^([\d.]+):\d+$/.exec(text) ?? [];
  return (inBrackets ?? beforePort ?? text).replace(/^::ffff:(?=[\d.]+$)/i, '');
}
