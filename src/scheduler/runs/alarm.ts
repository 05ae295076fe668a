/** Waits for a time or a ring, whichever is first. A ring while nobody waits is remembered. One waiter at a time. */
import { type Clock, pause } from '../../lib/clock.ts';

export class Alarm {
  readonly #clock: Clock;
  #rung = false;
  #waiting: AbortController | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ring(): void {
    this.#rung = true;
    // a reason spares the making of an exception with a stack
    this.#waiting?.abort('rung');
  }

  /** Resolves after `ms`, when rung, or when the signal aborts. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#rung && !signal.aborted) {
      const waiting = new AbortController();
      const stop = (): void => waiting.abort('stopped');
      signal.addEventListener('abort', stop, { once: true });
      this.#waiting = waiting;
      await pause(this.#clock, ms, waiting.signal);
      signal.removeEventListener('abort', stop);
      this.#waiting = undefined;
    }
    this.#rung = false;
  }
}
