import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import type { TrustProxy } from '../../src/config.ts';
import { clientSideOf, trustOf } from '../../src/http/forwarded.ts';

const PEER = '10.0.0.9';
const seen = (trust: TrustProxy, headers: Record<string, string>, peer: string | undefined = PEER) => {
  const request = { headers: { host: 'inside:4000', ...headers }, socket: { remoteAddress: peer } };
  return clientSideOf(request as unknown as IncomingMessage, trustOf(trust));
};
const said = {
  'x-forwarded-for': '6.6.6.6, 203.0.113.7',
  'x-forwarded-proto': 'https',
  'x-forwarded-host': 'images.example',
};
const direct = { address: PEER, scheme: 'http', host: 'inside:4000' };

describe('the client side of a request', () => {
  it.each<[TrustProxy]>([[false], [0], [[]], [['loopback']], [['10.0.0.8', '2001:db8::/32']]])(
    'is what the connection says, when our peer is not trusted: %j',
    (trust) => {
      expect(seen(trust, said)).toEqual(direct);
    },
  );

  it.each<[TrustProxy]>([[1], [['10.0.0.9']], [['10.0.0.0/8']], [['uniquelocal']]])(
    'is what a trusted proxy says, and what its client made up before it does not count: %j',
    (trust) => {
      expect(seen(trust, said)).toEqual({ address: '203.0.113.7', scheme: 'https', host: 'images.example' });
    },
  );

  it.each<[TrustProxy]>([[true], [2], [['uniquelocal', '203.0.113.0/24']]])(
    'is found behind several trusted proxies: %j',
    (trust) => {
      expect(seen(trust, said).address).toBe('6.6.6.6');
    },
  );

  it('is as the nearest proxy says, when several said something', () => {
    const headers = {
      'x-forwarded-proto': 'http, https',
      'x-forwarded-host': 'evil.example, images.example',
    };
    expect(seen(1, headers)).toMatchObject({ scheme: 'https', host: 'images.example' });
  });

  it('knows the schemes that proxies give WebSocket requests', () => {
    expect(seen(1, { 'x-forwarded-proto': 'wss' }).scheme).toBe('https');
    expect(seen(1, { 'x-forwarded-proto': 'ws' }).scheme).toBe('http');
    expect(seen(1, { 'x-forwarded-proto': 'javascript' }).scheme).toBe('http');
  });

  it('has no host that could not be part of an address', () => {
    expect(seen(1, { 'x-forwarded-host': 'a b/<script>' }).host).toBeNull();
    expect(seen(false, { host: 'a"b' }).host).toBeNull();
  });

  it.each([
    ['<script>', PEER],
    ['203.0.113.7, <script>', '203.0.113.7'],
    ['203.0.113.7:51000', '203.0.113.7'],
    ['[2001:db8::1]:51000', '2001:db8::1'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['', PEER],
  ])('has an address of nothing but an address: %s', (given, address) => {
    expect(seen(true, { 'x-forwarded-for': given }).address).toBe(address);
  });

  it('sees an IPv4 peer of an IPv6 listener as what it is', () => {
    expect(seen(['10.0.0.0/8'], said, '::ffff:10.0.0.9').address).toBe('203.0.113.7');
    expect(seen(false, {}, '::ffff:10.0.0.9').address).toBe(PEER);
  });

  it('is unknown when the connection is gone', () => {
    expect(clientSideOf({ headers: {}, socket: {} } as IncomingMessage, trustOf(1)).address).toBe('unknown');
    expect(clientSideOf({ headers: {}, socket: {} } as IncomingMessage, trustOf(true)).host).toBeNull();
  });
});
