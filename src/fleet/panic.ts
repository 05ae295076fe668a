/**
 * Much fails on most instances: more would have to be put aside for what jobs say than may be, and jobs of several kinds
 * or tenants say so: the broken batch of one holds up nobody else. Whoever repeats jobs waits until that is over, and
 * people are told. It is over once nothing of the kind was seen for a while.
 */
import type { Clock, Timer } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';

export interface PanicParts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** It begins, or it is over. */
  readonly onChange: () => void;
}

/** What kind of job it was, and whose. */
export interface Source {
  readonly tenant: string;
  readonly workflow: string;
  readonly needsKey: string;
}

interface Sign {
  readonly source: Source;
  /** Monotonic ms. */
  readonly at: number;
}

export const PANIC_LASTS_MS = 60_000;
/** The row of the settings that says so to other processes while it lasts: since when, epoch ms. */
export const PANIC_SETTING = 'fleet_panic';

export class Panic {
  readonly #parts: PanicParts;
  #last: Sign | null = null;
  /** The newest of another source than the last. */
  #other: Sign | null = null;
  #timer: Timer | undefined;

  constructor(parts: PanicParts) {
    this.#parts = parts;
  }

  get isOn(): boolean {
    return this.#timer !== undefined;
  }

  /** One more instance would have been put aside for jobs of this source. */
  seen(source: Source): void {
    const { clock, logger, onChange } = this.#parts;
    if (this.#last && !isSame(this.#last.source, source)) this.#other = this.#last;
    this.#last = { source, at: clock.monotonic() };
    const leftMs = this.#leftMs();
    if (this.#timer || leftMs <= 0) return;
    this.#wait(leftMs);
    logger.warn(
      'much fails on most instances: no more of them are put aside for it, and repeated attempts wait; suspect the jobs, a shared folder of models, or the gateway',
    );
    onChange();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#last = this.#other = null;
  }

  #leftMs(): number {
    return this.#other ? this.#other.at + PANIC_LASTS_MS - this.#parts.clock.monotonic() : 0;
  }

  #wait(ms: number): void {
    this.#timer = this.#parts.clock.after(ms, () => this.#look());
  }

  #look(): void {
    const { logger, onChange } = this.#parts;
    const leftMs = this.#leftMs();
    if (leftMs > 0) {
      this.#wait(leftMs);
      return;
    }
    this.#timer = undefined;
    logger.info('no more instances were put aside for a while: repeated attempts go on');
    onChange();
  }
}

function isSame(a: Source, b: Source): boolean {
  return a.tenant === b.tenant && a.workflow === b.workflow && a.needsKey === b.needsKey;
}
