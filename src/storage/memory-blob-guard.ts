/** The guard of blobs that only this process puts and removes. */
import {
  type BlobGuard,
  type BlobPin,
  blobKey,
  DOUBT_MS,
  inDoubt,
  RemovalInDoubt,
} from '../domain/blob-guard.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { KeyLock } from '../lib/key-lock.ts';
import { Pins } from './pins.ts';

export class MemoryBlobGuard implements BlobGuard {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #lock = new KeyLock();
  readonly #pins = new Pins();
  /** Until when, by the monotonic clock. Hardly ever there are any, and never many. */
  readonly #doubts = new Map<string, number>();

  constructor(clock: Pick<Clock, 'monotonic'> = systemClock) {
    this.#clock = clock;
  }

  pin(tenant: string, sha256: string): Promise<BlobPin> {
    const key = blobKey(tenant, sha256);
    return this.#lock.run(key, async () => {
      if (this.#isInDoubt(key)) throw inDoubt();
      return this.#pins.pin(key);
    });
  }

  unlessPinned<T>(tenant: string, sha256: string, work: () => Promise<T>): Promise<T | null> {
    const key = blobKey(tenant, sha256);
    return this.#lock.run(key, async () => {
      if (this.#pins.has(key) || this.#isInDoubt(key)) return null;
      try {
        return await work();
      } catch (error) {
        if (error instanceof RemovalInDoubt) this.#doubts.set(key, this.#clock.monotonic() + DOUBT_MS);
        throw error;
      }
    });
  }

  #isInDoubt(key: string): boolean {
    const now = this.#clock.monotonic();
    for (const [doubtful, until] of this.#doubts) if (until <= now) this.#doubts.delete(doubtful);
    return this.#doubts.has(key);
  }
}
