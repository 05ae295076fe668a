/**
 * The scheduler of a fleet: leads it while it has the lease, else stands by. A loop that any news wakes; what news might be
 * lost is found in the rows. Nothing an instance or a job does ends it.
 *
 *   standby ── lease taken: a term begins, what is open is adopted ──▶ leading
 *      ▲                                                                  │
 *      └── another leads, or the lease may have run out: the term ends, ──┘
 *          everything stays as it is for whoever leads next
 */
import { assert } from '../lib/assert.ts';
import { Loop } from '../lib/loop.ts';
import type { Service } from '../lib/service.ts';
import { LeaderTerm } from './leader-term.ts';
import { Leadership } from './leadership.ts';
import type { SchedulerOptions } from './scheduler-options.ts';

export interface Scheduler extends Service {
  /** It leads and its loop turns. */
  healthy(): boolean;
  /** From now on it starts no attempt; those that run go on. A stop follows. */
  hold(): void;
}

export function createScheduler(options: SchedulerOptions): Scheduler {
  return new FleetScheduler(options);
}

/** Longest pause of the loop: what no news announced is seen this late at most. */
const LONGEST_PAUSE_MS = 1000;
const UNHEALTHY_AFTER_MS = 30_000;

class FleetScheduler implements Scheduler {
  readonly #options: SchedulerOptions;
  readonly #loop: Loop;
  readonly #leadership: Leadership;
  /** The term in which this process leads; null on standby. */
  #present: LeaderTerm | null = null;
  #stepAt = Number.NEGATIVE_INFINITY;
  #held = false;

  constructor(options: SchedulerOptions) {
    const { store, clock, ids, logger, fleet } = options;
    this.#options = options;
    this.#leadership = new Leadership({ db: store.db, clock, holder: ids(), logger });
    fleet.actOnlyWhile(() => this.#leadership.trusted());
    this.#loop = new Loop({
      name: 'scheduler',
      intervalMs: () =>
        Math.max(1, Math.min(LONGEST_PAUSE_MS, this.#present?.nextChangeInMs() ?? LONGEST_PAUSE_MS)),
      step: (signal) => this.#step(signal),
      clock,
      logger,
    });
  }

  healthy(): boolean {
    const since = this.#options.clock.monotonic() - this.#stepAt;
    return this.#present !== null && this.#leadership.trusted() && since < UNHEALTHY_AFTER_MS;
  }

  hold(): void {
    this.#held = true;
  }

  /** Leads when it resolves, or stands by while another process leads. */
  async start(): Promise<void> {
    const { fleet, clock, logger } = this.#options;
    assert(fleet.id !== '', 'the fleet is started before the scheduler');
    this.#held = false;
    if (await this.#lead()) this.#stepAt = clock.monotonic();
    else logger.info('another process leads this fleet: this one stands by');
    await this.#loop.start();
  }

  /** What runs on instances goes on there; the next start adopts it. */
  async stop(): Promise<void> {
    await this.#loop.stop();
    this.#options.crashAt?.('stop:begun');
    await this.#present?.end();
    this.#present = null;
    this.#options.crashAt?.('stop:let-go');
    await this.#leadership.release();
  }

  async #step(signal: AbortSignal): Promise<void> {
    const term = await this.#lead();
    if (!term || signal.aborted) return;
    await term.step(signal);
    this.#stepAt = this.#options.clock.monotonic();
  }

  /** The present term, a new one when the last is over, or null while another process leads. */
  async #lead(): Promise<LeaderTerm | null> {
    if (this.#present && (await this.#leadership.keep())) return this.#present;
    await this.#present?.end();
    this.#present = null;
    const term = await this.#leadership.take();
    if (term === null) return null;
    this.#options.logger.info({ term }, 'this process leads the fleet');
    const isTrusted = (): boolean => this.#leadership.trusted();
    const mayStart = (): boolean => !this.#held;
    const wake = (): void => this.#loop.wake();
    this.#present = await LeaderTerm.begin({ ...this.#options, isTrusted, mayStart, wake }, term);
    return this.#present;
  }
}
