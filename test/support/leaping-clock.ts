/** Real time that leaps on when a test says so, as for a process that was suspended: its timers fire late. */
import { type Clock, systemClock, type Timer } from '../../src/lib/clock.ts';

export class LeapingClock implements Clock {
  #ahead = 0;

  now(): number {
    return systemClock.now() + this.#ahead;
  }

  monotonic(): number {
    return systemClock.monotonic() + this.#ahead;
  }

  /** A timer takes its real time, whatever leaps in between. */
  after(ms: number, callback: () => void): Timer {
    return systemClock.after(ms, callback);
  }

  /** So many ms have gone by in which nothing here ran. */
  leap(ms: number): void {
    this.#ahead += ms;
  }
}
