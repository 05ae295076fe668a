/** Reads a bus subscription with a deadline, so that one loop can wait for news and for its own timer. */
import type { BusSignal, BusSubscription } from '../../events/bus.ts';
import type { Clock } from '../../lib/clock.ts';

export class SignalReader {
  readonly #subscription: BusSubscription;
  readonly #clock: Clock;
  #pending: Promise<IteratorResult<BusSignal, undefined>> | undefined;

  constructor(subscription: BusSubscription, clock: Clock) {
    this.#subscription = subscription;
    this.#clock = clock;
  }

  /** The next signal; `due` when the moment (monotonic ms) comes first; null once the subscription has ended. */
  async next(dueAt: number | null = null): Promise<BusSignal | 'due' | null> {
    this.#pending ??= this.#subscription.next();
    const first = dueAt === null ? await this.#pending : await this.#before(this.#pending, dueAt);
    if (first === 'due') return 'due';
    this.#pending = undefined;
    return first.done ? null : first.value;
  }

  async #before<T>(pending: Promise<T>, dueAt: number): Promise<T | 'due'> {
    let cancel = (): void => undefined;
    const due = new Promise<'due'>((resolve) => {
      const timer = this.#clock.after(Math.max(0, dueAt - this.#clock.monotonic()), () => resolve('due'));
      cancel = () => timer.cancel();
    });
    try {
      return await Promise.race([pending, due]);
    } finally {
      cancel();
    }
  }
}
