/** Lets in so many a second, and as many at once: whoever comes too early is told to come again. Pure but for the clock. */
import type { Clock } from '../lib/clock.ts';

export class Admission {
  readonly #perSecond: number;
  readonly #clock: Clock;
  #left: number;
  /** Monotonic ms. */
  #countedAt: number;

  constructor(perSecond: number, clock: Clock) {
    this.#perSecond = perSecond;
    this.#clock = clock;
    this.#left = perSecond;
    this.#countedAt = clock.monotonic();
  }

  /** Takes one place; false when there is none at this moment. */
  admit(): boolean {
    const now = this.#clock.monotonic();
    const earned = ((now - this.#countedAt) / 1000) * this.#perSecond;
    this.#countedAt = now;
    this.#left = Math.min(this.#perSecond, this.#left + earned);
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
