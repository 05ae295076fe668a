/**
 * The newest progress and preview of each running job, kept in this process for subscribers that come late. Bounded:
 * whoever ends a run forgets it, and should that never happen the least recently updated job goes first.
 */
import type { Preview, Progress } from '../domain/job.ts';
import type { Latest, PreviewImage } from './bus.ts';

export interface LiveNewsLimits {
  readonly maxJobs: number;
  /** Of all pictures together. */
  readonly maxImageBytes: number;
}

interface Kept {
  readonly progress: Progress | null;
  readonly picture: PreviewImage | null;
  readonly seq: number;
}

const NOTHING: Kept = { progress: null, picture: null, seq: 0 };

export class LiveNews {
  readonly #limits: LiveNewsLimits;
  /** Least recently updated first. */
  readonly #kept = new Map<string, Kept>();
  #imageBytes = 0;

  constructor(limits: LiveNewsLimits) {
    this.#limits = limits;
  }

  keepProgress(jobId: string, seq: number, progress: Progress): void {
    this.#keep(jobId, { ...(this.#kept.get(jobId) ?? NOTHING), progress, seq });
  }

  /** Keeps a copy: the given bytes may be a slice of a larger buffer that the socket owns. */
  keepPreview(jobId: string, seq: number, preview: Preview, image: Uint8Array): void {
    const picture = { preview, image: new Uint8Array(image) };
    this.#keep(jobId, { ...(this.#kept.get(jobId) ?? NOTHING), picture, seq });
  }

  latest(jobIds: readonly string[]): ReadonlyMap<string, Latest> {
    const found = new Map<string, Latest>();
    for (const jobId of jobIds) {
      const kept = this.#kept.get(jobId);
      if (!kept) continue;
      const { progress, picture, seq } = kept;
      found.set(jobId, { progress, preview: picture?.preview ?? null, seq });
    }
    return found;
  }

  picture(jobId: string): PreviewImage | null {
    return this.#kept.get(jobId)?.picture ?? null;
  }

  forget(jobId: string): void {
    this.#imageBytes -= this.#kept.get(jobId)?.picture?.image.byteLength ?? 0;
    this.#kept.delete(jobId);
  }

  clear(): void {
    this.#kept.clear();
    this.#imageBytes = 0;
  }

  #keep(jobId: string, kept: Kept): void {
    this.forget(jobId);
    this.#kept.set(jobId, kept);
    this.#imageBytes += kept.picture?.image.byteLength ?? 0;
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#limits.maxJobs && this.#imageBytes <= this.#limits.maxImageBytes) return;
      this.forget(oldest);
    }
  }
}
