/**
 * Where things lie under the storage folder:
 *   blobs/<tenant>/<first two digits>/<sha256>   finished blobs
 *   blobs/<tenant>/tenant                        the tenant's name, where its folder does not show it
 *   staging/<unique name>                        files being written; on the same file system, so that a rename finishes them
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { assert } from '../lib/assert.ts';

const SAFE_TENANT = /^[a-z0-9][a-z0-9_-]{0,39}$/;
const SHA256 = /^[0-9a-f]{64}$/;

export function isSha256(text: string): boolean {
  return SHA256.test(text);
}

/**
 * A folder name for a tenant: its own name where that is harmless on any file system, else a hash. A hashed name contains
 * `~`, which no plain one does, so two tenants never share a folder.
 */
export function tenantFolder(tenant: string): string {
  if (SAFE_TENANT.test(tenant)) return tenant;
  return `h~${createHash('sha256').update(tenant).digest('hex').slice(0, 40)}`;
}

export class DiskLayout {
  readonly root: string;
  readonly blobs: string;
  readonly staging: string;

  constructor(root: string) {
    this.root = root;
    this.blobs = join(root, 'blobs');
    this.staging = join(root, 'staging');
  }

  /** The folder of a blob. Throws for a hash that is none: it came from our own row, and must never become a path. */
  folder(tenant: string, sha256: string): string {
    assert(SHA256.test(sha256), 'a blob is named by a lower-case SHA-256');
    return join(this.blobs, tenantFolder(tenant), sha256.slice(0, 2));
  }

  file(tenant: string, sha256: string): string {
    return join(this.folder(tenant, sha256), sha256);
  }

  staged(name: string): string {
    return join(this.staging, name);
  }
}
