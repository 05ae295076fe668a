/**
 * Much fails on most instances: more would have to be put aside for what jobs say than may be. Whoever repeats jobs waits
 * until that is over, and people are told. It is over once nothing of the kind was seen for a while.
 */
import type { Clock, Timer } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';

export interface PanicParts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** It begins, or it is over. */
  readonly onChange: () => void;
}

export const PANIC_LASTS_MS = 60_000;
/** The row of the settings that says so to other processes while it lasts: since when, epoch ms. */
export const PANIC_SETTING = 'fleet_panic';

export class Panic {
  readonly #parts: PanicParts;
  #lastSeenAt = 0;
  #timer: Timer | undefined;

  constructor(parts: PanicParts) {
    this.#parts = parts;
  }

  get isOn(): boolean {
    return this.#timer !== undefined;
  }

  /** One more instance would have been put aside. */
  seen(): void {
    const { clock, logger, onChange } = this.#parts;
    this.#lastSeenAt = clock.monotonic();
    if (this.#timer) return;
    this.#wait(PANIC_LASTS_MS);
    logger.warn(
      'much fails on most instances: no more of them are put aside for it, and repeated attempts wait; suspect the jobs, a shared folder of models, or the gateway',
    );
    onChange();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #wait(ms: number): void {
    this.#timer = this.#parts.clock.after(ms, () => this.#look());
  }

  #look(): void {
    const { clock, logger, onChange } = this.#parts;
    const left = this.#lastSeenAt + PANIC_LASTS_MS - clock.monotonic();
    if (left > 0) {
      this.#wait(left);
      return;
    }
    this.#timer = undefined;
    logger.info('no more instances were put aside for a while: repeated attempts go on');
    onChange();
  }
}
