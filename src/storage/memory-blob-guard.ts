/** The guard of blobs that only this process puts and removes. */
import { type BlobGuard, type BlobPin, blobKey } from '../domain/blob-guard.ts';
import { KeyLock } from '../lib/key-lock.ts';
import { Pins } from './pins.ts';

export class MemoryBlobGuard implements BlobGuard {
  readonly #lock = new KeyLock();
  readonly #pins = new Pins();

  pin(tenant: string, sha256: string): Promise<BlobPin> {
    const key = blobKey(tenant, sha256);
    return this.#lock.run(key, async () => this.#pins.pin(key));
  }

  unlessPinned<T>(tenant: string, sha256: string, work: () => Promise<T>): Promise<T | null> {
    const key = blobKey(tenant, sha256);
    return this.#lock.run(key, async () => (this.#pins.has(key) ? null : await work()));
  }
}
