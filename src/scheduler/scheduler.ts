/**
 * The scheduler of a fleet: leads it while it has the lease, else stands by. A loop that any news wakes; what news might be
 * lost is found in the rows. Nothing an instance or a job does ends it.
 *
 *   standby ── lease taken: a term begins, what is open is adopted ──▶ leading
 *      ▲                                                                  │
 *      └── another leads, or the lease may have run out: the term ends, ──┘
 *          everything stays as it is for whoever leads next
 */
import { Loop } from '../lib/loop.ts';
import type { Service } from '../lib/service.ts';
import { Background } from './background.ts';
import { type HintListener, listenForVacancy } from './hints.ts';
import { LeaderTerm } from './leader-term.ts';
import { Leadership } from './leadership.ts';
import type { SchedulerOptions } from './scheduler-options.ts';

export interface Scheduler extends Service {
  /** This process leads, and its loop turns. */
  leads(): boolean;
  /** Its loop turns, whether it leads or stands by. */
  healthy(): boolean;
  /** From now on it starts no attempt; those that run go on. A stop follows. */
  hold(): void;
  /** Something that its loop hears nothing of has changed: it plans again. */
  wake(): void;
}

export function createScheduler(options: SchedulerOptions): Scheduler {
  return new FleetScheduler(options);
}

/** Longest pause of the loop: what no news announced is seen this late at most; so is a lease that ran out. */
const LONGEST_PAUSE_MS = 1000;
const UNHEALTHY_AFTER_MS = 30_000;

class FleetScheduler implements Scheduler {
  readonly #options: SchedulerOptions;
  readonly #loop: Loop;
  readonly #leadership: Leadership;
  readonly #background: Background;
  /** The term in which this process leads; null on standby. */
  #present: LeaderTerm | null = null;
  /** On standby: hears when the leader leaves. */
  #vacancy: HintListener | null = null;
  #turnedAt = Number.NEGATIVE_INFINITY;
  #held = false;

  constructor(options: SchedulerOptions) {
    const { store, clock, ids, logger, fleet, config, wall } = options;
    this.#options = options;
    this.#background = new Background(logger);
    this.#leadership = new Leadership({
      db: store.vital,
      clock,
      holder: ids(),
      ttlMs: config.leaseTtlMs,
      logger,
      wall,
      onOver: () => {
        // the loop may be in the middle of a long step
        this.#present?.abandon();
        this.#loop.wake();
      },
    });
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

  leads(): boolean {
    return this.#present !== null && this.#leadership.trusted() && this.healthy();
  }

  healthy(): boolean {
    return this.#options.clock.monotonic() - this.#turnedAt < UNHEALTHY_AFTER_MS;
  }

  hold(): void {
    this.#held = true;
  }

  wake(): void {
    this.#loop.wake();
  }

  /** Leads when it resolves, or stands by while another process leads. */
  async start(): Promise<void> {
    const { clock, logger } = this.#options;
    this.#held = false;
    await this.#leadership.start();
    try {
      if (!(await this.#lead())) logger.info('another process leads this fleet: this one stands by');
    } catch (error) {
      await this.#leadership.stop().catch(() => undefined);
      throw error;
    }
    this.#turnedAt = clock.monotonic();
    await this.#loop.start();
  }

  /** What runs on instances goes on there; whoever leads next adopts it, and is told that it may. */
  async stop(): Promise<void> {
    const { bus, clock, config, crashAt, logger } = this.#options;
    await this.#loop.stop();
    crashAt?.('stop:begun');
    this.#stopWaiting();
    await this.#letGo();
    crashAt?.('stop:let-go');
    const hadLed = await this.#leadership.release().catch((error: unknown) => {
      logger.warn({ err: error }, 'the lease could not be given back: it will run out');
      return false;
    });
    await this.#leadership.stop();
    if (hadLed) bus.publish({ kind: 'hint', hint: 'leader-left', jobId: null });
    await this.#background.settled(clock, config.shutdownGraceMs / 4);
  }

  async #step(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const term = await this.#lead();
    this.#turnedAt = clock.monotonic();
    if (!term || signal.aborted) return;
    await term.step(signal);
    this.#turnedAt = clock.monotonic();
  }

  /** The present term, a new one when the last is over, or null while another process leads. */
  async #lead(): Promise<LeaderTerm | null> {
    if (this.#present && this.#leadership.trusted()) return this.#present;
    await this.#letGo();
    const term = await this.#leadership.take();
    if (term === null) {
      await this.#waitForVacancy();
      return null;
    }
    this.#stopWaiting();
    this.#options.logger.info({ term }, 'this process leads the fleet');
    this.#present = await this.#begin(term);
    return this.#present;
  }

  async #begin(term: number): Promise<LeaderTerm> {
    const isTrusted = (): boolean => this.#leadership.trusted() && this.#leadership.term === term;
    const mayStart = (): boolean => !this.#held;
    const wake = (): void => this.#loop.wake();
    try {
      return await LeaderTerm.begin({ ...this.#options, isTrusted, mayStart, wake }, term);
    } catch (error) {
      // perhaps another process can
      await this.#leadership.release().catch(() => undefined);
      throw error;
    }
  }

  async #letGo(): Promise<void> {
    await this.#present?.end();
    this.#present = null;
  }

  async #waitForVacancy(): Promise<void> {
    if (this.#vacancy) return;
    const vacancy = await listenForVacancy(this.#options.bus, () => this.#loop.wake());
    this.#vacancy = vacancy;
    const forget = (): void => {
      if (this.#vacancy === vacancy) this.#vacancy = null;
    };
    this.#background.own(vacancy.done.finally(forget), 'vacancy');
  }

  #stopWaiting(): void {
    this.#vacancy?.close();
    this.#vacancy = null;
  }
}
