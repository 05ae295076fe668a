/** The breaker of one instance with its effects: hears what is experienced, waits out its time, says what it decided. */
import type { BreakerState } from '../domain/instance.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import {
  type BreakerEvent,
  type BreakerRecord,
  type BreakerTuning,
  type Experience,
  initialBreaker,
  nextBreaker,
  whyAside,
} from './breaker.ts';

export interface GuardOptions {
  /** As the row says it. */
  readonly stored: BreakerState;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly breaker: BreakerTuning;
  /** Enough of the fleet is left without this instance. */
  readonly spare: () => boolean;
  /** The state or its reason is another one now. */
  readonly onChange: () => void;
}

export class Guard {
  readonly #options: GuardOptions;
  #record: BreakerRecord;
  #timer: Timer | undefined;

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#record = initialBreaker(options.stored, options.clock.monotonic());
  }

  get state(): BreakerState {
    return this.#record.state;
  }

  /** Why it gets no jobs, one line; null when it may have some. */
  get whyAside(): string | null {
    return whyAside(this.#record);
  }

  experienced(experience: Experience): void {
    this.#take(experience);
  }

  /** It answered a probe. */
  answered(cameBack: boolean): void {
    if (cameBack) this.#take({ kind: 'comeback' });
    this.#take({ kind: 'canary-passed' });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #take(event: BreakerEvent): void {
    const { clock, random, spare, breaker, logger, onChange } = this.#options;
    const before = this.#record;
    const now = clock.monotonic();
    const after = nextBreaker(before, event, { now, spare: spare(), random }, breaker);
    this.#record = after;
    if (after.state === before.state && after.reason === before.reason) return;
    logger.info({ from: before.state, to: after.state, reason: after.reason }, 'the breaker changed');
    this.#timer?.cancel();
    if (after.openUntil !== null) {
      this.#timer = clock.after(after.openUntil - now, () => this.#take({ kind: 'time' }));
    }
    onChange();
  }
}
