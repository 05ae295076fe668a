/** A clock that moves only when a test says so; timers fire in order of their due time. */
import type { Clock, Timer } from '../../src/lib/clock.ts';

interface Pending {
  readonly due: number;
  readonly order: number;
  readonly callback: () => void;
}

export class VirtualClock implements Clock {
  #now: number;
  readonly #started: number;
  #order = 0;
  readonly #timers = new Set<Pending>();

  constructor(start = 1_700_000_000_000) {
    this.#now = start;
    this.#started = start;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now - this.#started;
  }

  after(ms: number, callback: () => void): Timer {
    const timer = { due: this.#now + Math.max(0, ms), order: this.#order++, callback };
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  }

  /** Timers still waiting: a stopped service leaves none. */
  get pending(): number {
    return this.#timers.size;
  }

  /** When the next timer fires, in epoch milliseconds; undefined when none waits. */
  get nextDue(): number | undefined {
    let next: number | undefined;
    for (const timer of this.#timers) if (next === undefined || timer.due < next) next = timer.due;
    return next;
  }

  /** Moves time on, firing what falls due; between two timers the promises in flight get their turn. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await flush();
      const next = [...this.#timers]
        .filter((timer) => timer.due <= end)
        .sort((a, b) => a.due - b.due || a.order - b.order)[0];
      if (!next) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.due);
      next.callback();
    }
    this.#now = end;
    await flush();
  }
}

/** Lets every promise that is ready run on, without waiting for time. */
export async function flush(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}
