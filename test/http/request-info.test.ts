import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { allowedOrigins, isCrossSite } from '../../src/http/request-info.ts';

const from = (origin?: string, host = 'gateway:4000') => ({ headers: { origin, host } }) as IncomingMessage;
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

  it('of a page on the list is not cross-site, of any other it is', () => {
    expect(isCrossSite(from('https://app.example'), allowed)).toBe(false);
    expect(isCrossSite(from('https://evil.example'), allowed)).toBe(true);
    expect(isCrossSite(from('null'), allowed)).toBe(true);
  });
});
