/** What goes on beside a loop: every promise is waited for at the end, and can fail only into the log. */
import { type Clock, pause } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';

export class Background {
  readonly #logger: Logger;
  readonly #tasks = new Set<Promise<void>>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  own(task: Promise<void>, what: string): void {
    const owned: Promise<void> = task
      .catch((error: unknown) => this.#logger.error({ err: error, task: what }, 'background work failed'))
      .finally(() => this.#tasks.delete(owned));
    this.#tasks.add(owned);
  }

  /** Resolves when nothing is left, or after `withinMs`. */
  async settled(clock: Clock, withinMs: number): Promise<void> {
    const grace = new AbortController();
    const inTime = Promise.all(this.#tasks).then(() => grace.abort());
    if (await pause(clock, withinMs, grace.signal)) {
      this.#logger.warn({ tasks: this.#tasks.size }, 'background work did not end in time');
    } else await inTime;
  }
}
