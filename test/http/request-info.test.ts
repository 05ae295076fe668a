import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import type { TrustProxy } from '../../src/config.ts';
import { trustOf } from '../../src/http/forwarded.ts';
import { allowedOrigins, isCrossSite as crossSite } from '../../src/http/request-info.ts';

const from = (origin?: string, headers: Record<string, string> = {}) =>
  ({
    headers: { origin, host: 'gateway:4000', ...headers },
    socket: { remoteAddress: '10.0.0.1' },
  }) as unknown as IncomingMessage;
const isCrossSite = (request: IncomingMessage, origins: string[], trust: TrustProxy = false) =>
  crossSite(request, trustOf(trust), origins);
const allowed = allowedOrigins({
  corsOrigins: ['https://app.example'],
  publicUrl: 'https://images.example/base',
});

describe('a request', () => {
  it('of a program, which names no origin, is not cross-site', () => {
    expect(isCrossSite(from(undefined), allowed)).toBe(false);
  });

  it('of our own pages is not cross-site, by the host and by the public address behind a proxy', () => {
    expect(isCrossSite(from('http://gateway:4000'), allowed)).toBe(false);
    expect(isCrossSite(from('https://images.example'), allowed)).toBe(false);
  });

  it('of our own pages is not cross-site behind a trusted proxy that says which host they used', () => {
    const proxied = from('https://images.test', { 'x-forwarded-host': 'images.test' });
    expect(isCrossSite(proxied, allowed, ['10.0.0.1'])).toBe(false);
    expect(isCrossSite(from('https://gateway:4000', { 'x-forwarded-host': 'b.test' }), allowed, 1)).toBe(
      true,
    );
  });

  it('of another page stays cross-site, whatever host somebody untrusted says', () => {
    const forged = from('https://evil.example', { 'x-forwarded-host': 'evil.example' });
    expect(isCrossSite(forged, allowed)).toBe(true);
    expect(isCrossSite(forged, allowed, ['10.0.0.2'])).toBe(true);
  });

  it('of a page on the list is not cross-site, of any other it is', () => {
    expect(isCrossSite(from('https://app.example'), allowed)).toBe(false);
    expect(isCrossSite(from('https://evil.example'), allowed)).toBe(true);
    expect(isCrossSite(from('null'), allowed)).toBe(true);
  });
});
