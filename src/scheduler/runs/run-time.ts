/**
 * How long an attempt has been on its instance: as its history says, else from when it was heard or seen to begin to when
 * it was last heard or seen. Times are monotonic ms.
 */
import type { HistoryEntry } from '../../comfyui/history.ts';

export class RunTime {
  #begunAt: number | null = null;
  #seenAt = 0;
  #toldMs: number | null = null;

  /** Null while it is not known to have begun. */
  get begunAt(): number | null {
    return this.#begunAt;
  }

  /** In ms; null when it never ran, as far as is known. */
  get ms(): number | null {
    if (this.#toldMs !== null || this.#begunAt === null) return this.#toldMs;
    return Math.max(0, this.#seenAt - this.#begunAt);
  }

  /** It runs since then; what was known before stays. */
  begun(at: number): void {
    this.#begunAt ??= at;
  }

  /** It was still there. */
  seen(at: number): void {
    this.#seenAt = Math.max(this.#seenAt, at);
  }

  /** Its history was read: ComfyUI's own clock counts where it tells, but for no longer than `mostMs`. */
  told({ startedAt, endedAt }: Pick<HistoryEntry, 'startedAt' | 'endedAt'>, mostMs: number): void {
    if (startedAt === null || endedAt === null || endedAt < startedAt) return;
    this.#toldMs = Math.min(endedAt - startedAt, mostMs);
  }
}
