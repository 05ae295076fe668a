/**
 * How blobs are called in a bucket: <prefix>blobs/<tenant>/<first two digits>/<sha256>. The tenant can be read from the key
 * again: its own name where that is harmless, else `~` and the name in base64url, so that two tenants never share a folder.
 */
import { assert } from '../lib/assert.ts';
import { isSha256 } from './disk-layout.ts';

const SAFE_TENANT = /^[a-z0-9][a-z0-9_-]{0,39}$/;
const KEY = /^([a-z0-9][a-z0-9_-]{0,39}|~[\w-]*)\/([0-9a-f]{2})\/([0-9a-f]{64})$/;
/** Of a key, in bytes, as S3 has it. */
const LONGEST = 1024;

export class S3Keys {
  /** In front of every key of a blob. */
  readonly folder: string;

  constructor(prefix: string) {
    this.folder = `${prefix}blobs/`;
  }

  /** Throws for a hash that is none: it came from our own row, and must never become another key. */
  keyOf(tenant: string, sha256: string): string {
    assert(isSha256(sha256), 'a blob is named by a lower-case SHA-256');
    assert(Buffer.from(tenant).toString() === tenant, 'the name of a tenant is a text of whole letters');
    const key = `${this.folder}${nameOf(tenant)}/${sha256.slice(0, 2)}/${sha256}`;
    assert(Buffer.byteLength(key) <= LONGEST, 'the name of a tenant fits into a key');
    return key;
  }

  /** Null for a key that is not one of ours. */
  read(key: string): { readonly tenant: string; readonly sha256: string } | null {
    if (!key.startsWith(this.folder)) return null;
    const [, name, digits, sha256] = KEY.exec(key.slice(this.folder.length)) ?? [];
    if (name === undefined || sha256 === undefined || !sha256.startsWith(digits ?? '')) return null;
    const tenant = name.startsWith('~') ? Buffer.from(name.slice(1), 'base64url').toString() : name;
    return nameOf(tenant) === name ? { tenant, sha256 } : null;
  }
}

function nameOf(tenant: string): string {
  return SAFE_TENANT.test(tenant) ? tenant : `~${Buffer.from(tenant).toString('base64url')}`;
}
