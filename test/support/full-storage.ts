/** A blob store whose disk can be full, or broken, or away at will. Everything else is the store it wraps. */
import type { BlobStore, PutOptions, PutResult } from '../../src/storage/blob-store.ts';
import { StorageUnavailable } from '../../src/storage/storage-unavailable.ts';

export type Room = 'enough' | 'none' | 'broken' | 'away';

export class FullStorage implements BlobStore {
  room: Room = 'enough';
  /** Puts that were turned away. */
  refused = 0;
  readonly #store: BlobStore;

  constructor(store: BlobStore) {
    this.#store = store;
  }

  start = (): Promise<void> => this.#store.start();
  stop = (): Promise<void> => this.#store.stop();
  open: BlobStore['open'] = async (...args) => this.#there().open(...args);
  toBuffer: BlobStore['toBuffer'] = async (...args) => this.#there().toBuffer(...args);
  stat: BlobStore['stat'] = async (...args) => this.#there().stat(...args);
  remove: BlobStore['remove'] = (...args) => this.#store.remove(...args);
  list: BlobStore['list'] = (...args) => this.#store.list(...args);
  sweepStaging: BlobStore['sweepStaging'] = (...args) => this.#store.sweepStaging(...args);

  async freeBytes(): Promise<number | null> {
    return this.room === 'none' || this.room === 'broken' ? 0 : this.#there().freeBytes();
  }

  /** One that is away cannot be read either. */
  #there(): BlobStore {
    if (this.room !== 'away') return this.#store;
    throw new StorageUnavailable('the object store failed: TimeoutError');
  }

  /** As a full disk: the bytes are read, some of them at least, before it turns out that they do not fit. */
  async put<A = undefined, R = never>(
    tenant: string,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options: PutOptions<A, R>,
  ): Promise<PutResult<A, R>> {
    if (this.room === 'enough') return this.#store.put(tenant, source, options);
    for await (const _ of source) break;
    this.refused++;
    if (this.room === 'none') return { stored: false, reason: 'no-space' };
    if (this.room === 'away') return { stored: false, reason: 'unavailable' };
    throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
  }
}
