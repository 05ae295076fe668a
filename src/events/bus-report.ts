/** What the bus over Redis says in the log: when it is cut off and back, and now and then what was lost. No contents. */
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { OnDropped } from './dropped.ts';
import type { WireCounts } from './wire.ts';

const AT_MOST_EVERY_MS = 30_000;

/** `malformed`, `foreign`: came in and could not be read. `tooLarge`, `refused`: could not be sent. */
type Counted = 'malformed' | 'foreign' | 'tooLarge' | 'refused';
type Counts = Readonly<Record<Counted | 'failed', number>>;
const NONE: Counts = { malformed: 0, foreign: 0, tooLarge: 0, refused: 0, failed: 0 };

export class BusReport {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #own = { malformed: 0, foreign: 0, tooLarge: 0, refused: 0 };
  #told: Counts = NONE;
  #toldAt = Number.NEGATIVE_INFINITY;
  #connected: boolean | null = null;
  readonly #onDropped: OnDropped;
  #failed = 0;

  constructor(logger: Logger, clock: Clock, onDropped: OnDropped = () => undefined) {
    this.#onDropped = onDropped;
    this.#logger = logger.child({ part: 'bus' });
    this.#clock = clock;
  }

  count(what: Counted): void {
    this.#own[what]++;
    this.#onDropped(what, 1);
  }

  /** Both connections looked alive and were not. */
  deaf(): void {
    this.#logger.warn('Redis does not pass on what is published; connecting anew');
  }

  /** Says when it has changed. */
  connected(connected: boolean, { reason }: WireCounts): void {
    if (connected === this.#connected) return;
    const first = this.#connected === null;
    this.#connected = connected;
    if (!connected) {
      this.#logger.warn({ reason }, 'no connection to Redis: news comes late until there is one');
    } else if (!first) this.#logger.info('connected to Redis again');
  }

  /** Says what was lost since it said so last, unless that was a moment ago. */
  losses({ failed, reason }: WireCounts): void {
    if (failed > this.#failed) this.#onDropped('failed', failed - this.#failed);
    this.#failed = failed;
    const now = this.#clock.monotonic();
    if (now - this.#toldAt < AT_MOST_EVERY_MS) return;
    const counts: Counts = { ...this.#own, failed };
    const lost = difference(counts, this.#told);
    if (Object.keys(lost).length === 0) return;
    this.#told = counts;
    this.#toldAt = now;
    this.#logger.warn({ ...lost, reason }, 'messages of the bus were lost; rows are read instead');
  }
}

function difference(now: Counts, before: Counts): Partial<Counts> {
  const kinds = Object.keys(now) as (keyof Counts)[];
  return Object.fromEntries(
    kinds.map((kind) => [kind, now[kind] - before[kind]] as const).filter(([, count]) => count > 0),
  );
}
