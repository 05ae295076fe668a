/**
 * Removes what a process left that died between storing a file and writing its row: blobs that no row names, a day later,
 * and half-written files. A bounded number each round, going on where the last one ended.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { BlobStore, ListedBlob } from '../storage/blob-store.ts';
import { isReferenced } from '../store/blobs.ts';
import type { Store } from '../store/open.ts';

export interface OrphanParts {
  readonly store: Store;
  readonly storage: Pick<BlobStore, 'remove' | 'list' | 'sweepStaging'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly orphanAgeMs?: number;
}

const DAY_MS = 86_400_000;
const BATCH = 100;
const MOST_IN_A_ROUND = 10_000;
const STALE_STAGING_MS = 3_600_000;

export class OrphanSweeper {
  readonly #parts: OrphanParts;
  /** The last blob looked at. */
  #last: ListedBlob | undefined;

  constructor(parts: OrphanParts) {
    this.#parts = parts;
  }

  /** One round. A file that cannot be removed is tried again when its turn comes anew. */
  async sweep(signal?: Pick<AbortSignal, 'aborted'>): Promise<void> {
    const { storage, logger } = this.#parts;
    const halfWritten = await this.#sweepStaging();
    let removed = 0;
    for (let seen = 0; seen < MOST_IN_A_ROUND && !signal?.aborted; seen += BATCH) {
      const blobs = await storage.list(BATCH, this.#last);
      for (const blob of blobs) {
        if (signal?.aborted) break;
        if (await this.#removeOrphan(blob)) removed += 1;
        this.#last = blob;
        await nextTurn();
      }
      if (blobs.length < BATCH) {
        this.#last = undefined;
        break;
      }
    }
    if (removed + halfWritten > 0) logger.info({ files: removed, halfWritten }, 'orphaned files removed');
  }

  /** What cannot be swept, for lack of a permission perhaps, must not keep the orphans. */
  async #sweepStaging(): Promise<number> {
    const { storage, logger } = this.#parts;
    try {
      return await storage.sweepStaging(STALE_STAGING_MS);
    } catch (error) {
      logger.warn({ err: error }, 'half-written files could not be removed');
      return 0;
    }
  }

  /**
   * The age spares a question for each file that is new. It protects none: whoever counts on a blob, old or new, has it
   * pinned until the row is there.
   */
  async #removeOrphan(blob: ListedBlob): Promise<boolean> {
    const { store, storage, clock, logger, orphanAgeMs = DAY_MS } = this.#parts;
    const { tenant, sha256, storedAt } = blob;
    const putBefore = clock.now() - orphanAgeMs;
    if (storedAt >= putBefore) return false;
    const isOrphan = async (): Promise<boolean> => !(await isReferenced(store.db, blob));
    try {
      return (await storage.remove(tenant, sha256, isOrphan, putBefore)) === 'removed';
    } catch (error) {
      logger.warn({ err: error, tenant, sha256 }, 'an orphaned file could not be removed');
      return false;
    }
  }
}
