/**
 * Keeps the removal of a blob and the taking of it apart: a blob that was just put, or found to be there already, must not
 * be removed before the row that names it is committed. Where several processes share the blobs, so must the guard be:
 * hence it stands below both the storage and the store.
 */

/**
 * Keeps a blob from being removed until the row that names it is committed. Whoever was given one must release it, in a
 * `finally`; releasing twice is fine.
 */
export interface BlobPin {
  release(): void;
}

/** What a guard and its store lock to keep a blob: one text for each, among other keys of the same kind. */
export function blobKey(tenant: string, sha256: string): string {
  return `blob ${sha256} ${tenant}`;
}

export interface BlobGuard {
  /**
   * From when this resolves until the release (or the death of this process, and an hour) nobody removes the blob. Rejects
   * for DOUBT_MS after a removal of it was left in doubt.
   */
  pin(tenant: string, sha256: string): Promise<BlobPin>;
  /**
   * Runs the work while nobody can pin the blob; null, and the work is not run, when somebody has. The work must come to
   * its point within REMOVAL_MS: a guard of several processes holds no longer.
   */
  unlessPinned<T>(tenant: string, sha256: string, work: () => Promise<T>): Promise<T | null>;
}

/**
 * From the start of the work on, a removal that has not begun after so many ms must not begin any more: the process may have
 * slept, and lost its hold on the blob.
 */
export const REMOVAL_MS = 2000;

/**
 * Thrown by the work of a removal that was asked for and not answered: whoever carries it out may do so later, and would take
 * away what was found, or put, in between. Not known of a process that dies, or stands still for long, just then.
 */
export class RemovalInDoubt extends Error {
  override readonly name = 'RemovalInDoubt';
}

/** By then a removal was carried out, or never will be: servers and proxies give up requests sooner. */
export const DOUBT_MS = 120_000;

/** What a pin rejects with meanwhile. */
export function inDoubt(): Error {
  return new Error('a removal of the blob is in doubt');
}
