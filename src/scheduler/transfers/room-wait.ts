/**
 * Patience with storage that has no room, or does not work: what an instance made stays there and is fetched once there is
 * room again. Shared by all files of one run, so that the log says it once.
 */
import { fullJitter } from '../../lib/backoff.ts';
import { type Clock, pause } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';

const BOUNDS = { baseMs: 1000, capMs: 15_000 };

export class RoomWait {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #patienceMs: number;
  #since: number | null = null;

  constructor(clock: Clock, logger: Logger, patienceMs: number) {
    this.#clock = clock;
    this.#logger = logger;
    this.#patienceMs = patienceMs;
  }

  /** Waits before another try; false once the patience is at its end or the signal aborts. */
  async wait(reason: string, tries: number, signal: AbortSignal): Promise<boolean> {
    const now = this.#clock.monotonic();
    if (this.#since === null) {
      this.#since = now;
      this.#logger.warn({ reason }, 'outputs wait on their instance: they cannot be stored');
    }
    const left = this.#since + this.#patienceMs - now;
    if (left <= 0) return false;
    return pause(
      this.#clock,
      Math.min(
        left,
        fullJitter(tries, BOUNDS, () => 1),
      ),
      signal,
    );
  }

  /** Something was stored. */
  over(): void {
    if (this.#since === null) return;
    this.#since = null;
    this.#logger.info('outputs can be stored again');
  }
}
