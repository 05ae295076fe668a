/** Counts who holds a blob that no row names yet. */
import type { BlobPin } from '../domain/blob-guard.ts';

export class Pins {
  readonly #counts = new Map<string, number>();

  /** How many keys are pinned. */
  get size(): number {
    return this.#counts.size;
  }

  has(key: string): boolean {
    return this.#counts.has(key);
  }

  /** One more holder; the blob is free again once every holder has released. */
  pin(key: string): BlobPin {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    let held = true;
    return {
      release: () => {
        if (!held) return;
        held = false;
        const left = (this.#counts.get(key) ?? 1) - 1;
        if (left > 0) this.#counts.set(key, left);
        else this.#counts.delete(key);
      },
    };
  }
}
