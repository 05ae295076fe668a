/** Reads a bus subscription with a deadline, so that one loop can wait for news and for its own timer. */
import type { BusSignal, BusSubscription } from '../../events/bus.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
export class SignalReader {
  readonly #subscription: BusSubscription;
  readonly #clock: Clock;
  #pending: Promise<IteratorResult<BusSignal, undefined>> | undefined;
  #nudged = false;
  #wake: () => void = () => undefined;

  constructor(subscription: BusSubscription, clock: Clock) {
    this.#subscription = subscription;
    this.#clock = clock;
  }

  /** The next signal; `due` when the moment (monotonic ms) or a nudge comes first; null once the subscription has ended. */
  async next(dueAt: number | null = null): Promise<BusSignal | 'due' | null> {
    this.#pending ??= this.#subscription.next();
    const first = this.#nudged ? 'due' : await this.#before(this.#pending, dueAt);
    if (first === 'due') {
      this.#nudged = false;
      return 'due';
    }
    this.#pending = undefined;
    return first.done ? null : first.value;
  }

  /** The wait that is under way, else the next one, is over. */
  nudge(): void {
    this.#nudged = true;
    this.#wake();
  }

  async #before<T>(pending: Promise<T>, dueAt: number | null): Promise<T | 'due'> {
    let timer: Timer | undefined;
    const due = new Promise<'due'>((resolve) => {
      this.#wake = () => resolve('due');
      if (dueAt !== null) timer = this.#clock.after(Math.max(0, dueAt - this.#clock.monotonic()), this.#wake);
    });
    try {
      return await Promise.race([pending, due]);
    } finally {
      timer?.cancel();
    }
  }
}
