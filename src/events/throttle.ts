/** Does something at once, and when it is asked for again too soon, once more after the pause. */
import type { Clock, Timer } from '../lib/clock.ts';

export class Throttle {
  readonly #clock: Clock;
  readonly #pauseMs: number;
  readonly #act: () => void;
  #nextAt = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;

  constructor(clock: Clock, pauseMs: number, act: () => void) {
    this.#clock = clock;
    this.#pauseMs = pauseMs;
    this.#act = act;
  }

  ask(): void {
    if (this.#timer) return;
    const wait = this.#nextAt - this.#clock.monotonic();
    if (wait <= 0) this.#now();
    else this.#timer = this.#clock.after(wait, () => this.#now());
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #now(): void {
    this.cancel();
    this.#nextAt = this.#clock.monotonic() + this.#pauseMs;
    this.#act();
  }
}
