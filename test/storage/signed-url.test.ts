import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type SignedPath, signingKey, UrlSigner } from '../../src/storage/signed-url.ts';

const HOUR = 3_600_000;
const NOW = 1_700_000_000_000;
const path: SignedPath = { kind: 'file', fileId: 'out_1', variant: 'full' };
const signer = new UrlSigner([signingKey('first secret')], HOUR);

describe('UrlSigner', () => {
  it('accepts its own URLs until they expire, and says when they have', () => {
    const query = signer.sign(path, NOW);
    const expires = Number(new URLSearchParams(query).get('exp')) * 1000;
    expect(signer.verify(path, query, NOW)).toBe('ok');
    expect(signer.verify(path, `?${query}`, expires - 1)).toBe('ok');
    expect(signer.verify(path, query, expires)).toBe('expired');
  });

  it('gives the same URL within its hour and at least its time to live', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4e12 }), fc.integer({ min: 0, max: 5 * HOUR }), (now, ttl) => {
        const some = new UrlSigner([signingKey('k')], ttl);
        const lifetime = Number(new URLSearchParams(some.sign(path, now)).get('exp')) * 1000 - now;
        expect(lifetime).toBeGreaterThanOrEqual(ttl);
        expect(lifetime).toBeLessThan(ttl + HOUR);
      }),
    );
    const start = Math.ceil(NOW / HOUR) * HOUR;
    expect(signer.sign(path, start + 1)).toBe(signer.sign(path, start + HOUR));
    expect(signer.sign(path, start + HOUR + 1)).not.toBe(signer.sign(path, start + HOUR));
  });

  it('refuses a signature for another kind, file or form, also where the parts run together', () => {
    const query = signer.sign(path, NOW);
    const others: SignedPath[] = [
      { ...path, kind: 'preview' },
      { ...path, fileId: 'out_2' },
      { ...path, variant: '256' },
      { kind: 'fileout_1', fileId: '', variant: 'full' },
      { kind: 'file', fileId: 'out_1full', variant: '' },
      { kind: 'file","out_1', fileId: 'full', variant: '' },
    ];
    for (const other of others) expect(signer.verify(other, query, NOW)).toBe('forged');
  });

  it('refuses a URL when any bit of it is flipped', () => {
    const query = signer.sign(path, NOW);
    fc.assert(
      fc.property(fc.nat(query.length - 1), fc.nat(6), (at, bit) => {
        const changed = String.fromCharCode(query.charCodeAt(at) ^ (1 << bit));
        const forged = query.slice(0, at) + changed + query.slice(at + 1);
        const same = String(new URLSearchParams(forged)) === query;
        expect(signer.verify(path, forged, NOW)).toBe(same ? 'ok' : 'forged');
      }),
      { numRuns: 10_000 },
    );
  });

  it('refuses whatever else is presented', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.webQueryParameters()), (query) => {
        expect(signer.verify(path, query, NOW)).toBe('forged');
      }),
    );
    const query = signer.sign(path, NOW);
    expect(signer.verify(path, `${query}&exp=99999999999`, NOW)).toBe('forged');
    expect(signer.verify(path, query.replace(/sig=.*/, 'sig='), NOW)).toBe('forged');
    expect(signer.verify(path, query.replace(/exp=\d+/, 'exp=99999999999'), NOW)).toBe('forged');
  });

  it('takes no notice of further parameters', () => {
    expect(signer.verify(path, `utm_source=x&${signer.sign(path, NOW)}&v=1`, NOW)).toBe('ok');
  });

  it('signs with the first key and still verifies the others, until they are retired', () => {
    const [older, newer] = [signingKey('older'), signingKey('newer')];
    const before = new UrlSigner([older], HOUR).sign(path, NOW);
    const both = new UrlSigner([newer, older], HOUR);
    expect(both.verify(path, before, NOW)).toBe('ok');
    const after = both.sign(path, NOW);
    expect(new UrlSigner([newer], HOUR).verify(path, after, NOW)).toBe('ok');
    expect(new UrlSigner([newer], HOUR).verify(path, before, NOW)).toBe('forged');
    const renamed = new UrlSigner([{ id: older.id, secret: 'not the same' }], HOUR);
    expect(renamed.verify(path, before, NOW)).toBe('forged');
  });

  it('gives a key the same id everywhere, without showing the secret', () => {
    expect(signingKey('secret')).toEqual(signingKey('secret'));
    expect(signingKey('secret').id).not.toBe(signingKey('secreu').id);
    expect(signer.sign(path, NOW)).not.toContain('first');
  });

  it('needs at least one key, and keys that differ', () => {
    expect(() => new UrlSigner([], HOUR)).toThrow('needs a key');
    expect(() => new UrlSigner([signingKey('a'), signingKey('a')], HOUR)).toThrow('different');
  });
});
