/**
 * Whether the gateway's own storage answers, as far as runs found out. While it does not, no job that takes files is started:
 * it would only fail, on every instance in turn. Jobs that take none go on.
 *
 *   there ── a run could not read a file ──▶ away ── a look is answered; the first one comes at once ──▶ there
 */
import { fullJitter } from '../lib/backoff.ts';
import { type Clock, pause } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { BlobStore } from '../storage/blob-store.ts';
import type { Background } from './background.ts';

export interface StorageWatchParts {
  readonly storage: Pick<BlobStore, 'freeBytes'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly background: Background;
  /** Ends the looking. */
  readonly signal: AbortSignal;
  /** It is there again. */
  readonly wake: () => void;
}

const BOUNDS = { baseMs: 500, capMs: 5000 };

export class StorageWatch {
  readonly #parts: StorageWatchParts;
  #away = false;

  constructor(parts: StorageWatchParts) {
    this.#parts = parts;
  }

  get isAway(): boolean {
    return this.#away;
  }

  /** A run could not read a file, although it is there for all we know. */
  failed(): void {
    if (this.#away) return;
    this.#away = true;
    this.#parts.background.own(this.#untilThere(), 'storage');
  }

  async #untilThere(): Promise<void> {
    const { clock, logger, signal, wake } = this.#parts;
    for (let tries = 1; !(await this.#answers()); tries++) {
      if (tries === 1) logger.warn('storage does not answer: jobs that take files wait for it');
      const waited = await pause(
        clock,
        fullJitter(tries, BOUNDS, () => 1),
        signal,
      );
      if (!waited) return;
    }
    this.#away = false;
    logger.info('storage answers');
    wake();
  }

  #answers(): Promise<boolean> {
    return this.#parts.storage.freeBytes().then(
      () => true,
      () => false,
    );
  }
}
