/**
 * Signed file URLs: whoever holds one may fetch that one file for a while, without further credentials. Pure; keys and
 * time are passed in. The expiry is rounded up to the hour, so that a file's URL stays the same within the hour and caches hold.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { assert } from '../lib/assert.ts';

const HOUR_MS = 3_600_000;

/** What a URL gives access to: the kind of thing, which one, and in which form (a size, a revision); all are signed. */
export interface SignedPath {
  readonly kind: string;
  readonly fileId: string;
  readonly variant: string;
}

export interface SigningKey {
  /** Stands in the URL, so that a key can be retired. */
  readonly id: string;
  readonly secret: string;
}

export type Verdict = 'ok' | 'expired' | 'forged';

/** A key whose id is derived from its secret (and does not give it away): the same on every replica. */
export function signingKey(secret: string): SigningKey {
  const id = createHash('sha256').update(`signing key id\n${secret}`).digest('base64url').slice(0, 8);
  return { id, secret };
}

export class UrlSigner {
  readonly #keys: readonly SigningKey[];
  readonly #ttlMs: number;

  /** The first key signs, all verify: a new key is put in front and the old one kept until its URLs have expired. */
  constructor(keys: readonly SigningKey[], ttlMs: number) {
    assert(keys.length > 0, 'signing needs a key');
    assert(new Set(keys.map((key) => key.id)).size === keys.length, 'signing keys have different ids');
    this.#keys = keys;
    this.#ttlMs = ttlMs;
  }

  /** The query of the URL, without `?`. Valid for at least the time to live and less than an hour longer. `now` is epoch ms. */
  sign(path: SignedPath, now: number): string {
    const [key] = this.#keys;
    assert(key, 'signing needs a key');
    const expires = (Math.ceil((now + this.#ttlMs) / HOUR_MS) * HOUR_MS) / 1000;
    return new URLSearchParams({
      exp: String(expires),
      kid: key.id,
      sig: signature(path, String(expires), key),
    }).toString();
  }

  /** Judges the query of a URL (with or without `?`); further parameters are ignored. Never throws. */
  verify(path: SignedPath, query: string, now: number): Verdict {
    const parameters = new URLSearchParams(query);
    const [expires, ...moreExpiries] = parameters.getAll('exp');
    const [keyId, ...moreIds] = parameters.getAll('kid');
    const [given, ...moreSignatures] = parameters.getAll('sig');
    const key = this.#keys.find((candidate) => candidate.id === keyId);
    if (!expires || !key || !given) return 'forged';
    if (moreExpiries.length + moreIds.length + moreSignatures.length > 0) return 'forged';
    if (!sameText(given, signature(path, expires, key))) return 'forged';
    return now < Number(expires) * 1000 ? 'ok' : 'expired';
  }
}

/** JSON keeps the parts apart: no two paths share a text. */
function signature(path: SignedPath, expires: string, key: SigningKey): string {
  const text = JSON.stringify([path.kind, path.fileId, path.variant, expires, key.id]);
  return createHmac('sha256', key.secret).update(text).digest('base64url');
}

/** Compares the encoded texts: their bytes would let a changed last character pass, since it carries unused bits. */
function sameText(given: string, expected: string): boolean {
  const a = Buffer.from(given);
  const b = Buffer.from(expected);
  return a.length === b.length && timingSafeEqual(a, b);
}
