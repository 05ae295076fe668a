/**
 * Keeps the removal of a blob and the taking of it apart: a blob that was just put, or found to be there already, must not
 * be removed before the row that names it is committed. Where several processes share the blobs, so must the guard be.
 */
import type { BlobPin } from './blob-store.ts';

export interface BlobGuard {
  /** From when this resolves until the release (or the death of this process, and an hour) nobody removes the blob. */
  pin(tenant: string, sha256: string): Promise<BlobPin>;
  /** Runs the work while nobody can pin the blob; null, and the work is not run, when somebody has. */
  unlessPinned<T>(tenant: string, sha256: string, work: () => Promise<T>): Promise<T | null>;
}
