/**
 * Walks the blobs on a disk in a stable order: by tenant folder, then by hash. A tenant whose folder does not show its
 * name has it in a file beside its blobs.
 */
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ListedBlob } from './blob-store.ts';
import { type DiskLayout, isSha256, tenantFolder } from './disk-layout.ts';
import { orNullIfAbsent } from './fs-error.ts';

const NAME_FILE = 'tenant';

export async function listBlobs(
  layout: DiskLayout,
  limit: number,
  after?: Pick<ListedBlob, 'tenant' | 'sha256'>,
): Promise<ListedBlob[]> {
  const from = after && { folder: tenantFolder(after.tenant), sha256: after.sha256 };
  const found: ListedBlob[] = [];
  for (const folder of await namesIn(layout.blobs, 'folders')) {
    if (from && folder < from.folder) continue;
    const tenant = await tenantOf(layout, folder);
    // not ours, or its name was lost: nothing is known of it, so nothing is done to it
    if (tenant === null) continue;
    const past = from?.folder === folder ? from.sha256 : '';
    for await (const blob of blobsOf(layout, tenant, past)) {
      found.push(blob);
      if (found.length >= limit) return found;
    }
  }
  return found;
}

async function* blobsOf(layout: DiskLayout, tenant: string, past: string): AsyncGenerator<ListedBlob> {
  const root = join(layout.blobs, tenantFolder(tenant));
  for (const prefix of await namesIn(root, 'folders')) {
    if (prefix.length !== 2 || prefix < past.slice(0, 2)) continue;
    for (const sha256 of await namesIn(join(root, prefix), 'files')) {
      if (!isSha256(sha256) || sha256 <= past) continue;
      const file = await orNullIfAbsent(stat(layout.file(tenant, sha256)));
      if (file) yield { tenant, sha256, bytes: file.size, storedAt: file.mtimeMs };
    }
  }
}

async function namesIn(folder: string, kind: 'folders' | 'files'): Promise<string[]> {
  const entries = (await orNullIfAbsent(readdir(folder, { withFileTypes: true }))) ?? [];
  const wanted = entries.filter((entry) => (kind === 'folders' ? entry.isDirectory() : entry.isFile()));
  return wanted.map((entry) => entry.name).sort();
}

async function tenantOf(layout: DiskLayout, folder: string): Promise<string | null> {
  if (tenantFolder(folder) === folder) return folder;
  const name = await orNullIfAbsent(readFile(join(layout.blobs, folder, NAME_FILE), 'utf8'));
  return name !== null && tenantFolder(name) === folder ? name : null;
}

/** Writes the name of a tenant into its folder, where the folder does not show it. */
export async function nameTenant(layout: DiskLayout, tenant: string, staged: string): Promise<void> {
  const folder = tenantFolder(tenant);
  if (folder === tenant) return;
  if ((await tenantOf(layout, folder)) === tenant) return;
  try {
    await writeFile(staged, tenant, { mode: 0o640 });
    await rename(staged, join(layout.blobs, folder, NAME_FILE));
  } catch (error) {
    await rm(staged, { force: true });
    throw error;
  }
}
