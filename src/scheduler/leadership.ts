/**
 * The lease that makes this process the leader, renewed by a loop of its own, so that no long step of work delays that. Its
 * term fences what an earlier leader still tries to write; what cannot be fenced, a request to an instance, is not begun
 * once the lease may have run out by our own time, however long this process or its machine slept: monotonic time goes on
 * while a process is stopped, the wall clock also while a machine is suspended. Either can only end the trust earlier.
 *
 *   standby ── take ──▶ leading ── no renewal worked in time, or another took over ──▶ standby
 */
import { type Clock, pause, type Timer } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { Loop } from '../lib/loop.ts';
import type { Service } from '../lib/service.ts';
import { LEADER_LEASE, releaseTerm, renewTerm, takeTerm } from '../store/leases.ts';
import type { Db } from '../store/open.ts';

export interface LeadershipOptions {
  readonly db: Db;
  readonly clock: Clock;
  /** Names this process. */
  readonly holder: string;
  /** How long the lease lasts unless it is renewed, in ms. */
  readonly ttlMs: number;
  readonly logger: Logger;
  /** Time of this machine's wall, epoch ms, which goes on while the machine is suspended; default: it never is. */
  readonly wall?: (() => number) | undefined;
  /** Called at once when a term ends otherwise than by `release`. Must not throw. */
  readonly onOver: () => void;
}

type Answer = 'kept' | 'over' | 'none';

interface Times {
  readonly monotonic: number;
  readonly wall: number;
}

export class Leadership implements Service {
  readonly #options: LeadershipOptions;
  readonly #renewing: Loop;
  #term: number | null = null;
  /** When the last renewal that worked was begun: at the latest then the row's time began. */
  #renewedAt = Number.NEGATIVE_INFINITY;
  #wallAtRenewal = 0;
  #isOverdue = false;
  #doubt: Timer | undefined;

  constructor(options: LeadershipOptions) {
    const { clock, logger, ttlMs } = options;
    this.#options = options;
    this.#renewing = new Loop({
      name: 'lease',
      intervalMs: () => (this.#isOverdue ? ttlMs / 20 : ttlMs / 4),
      step: (signal) => this.#renew(signal),
      clock,
      logger,
    });
  }

  /** Of the present leadership; null while another process may lead. */
  get term(): number | null {
    return this.trusted() ? this.#term : null;
  }

  /** No other process can lead now. Asked before everything that cannot be undone. */
  trusted(): boolean {
    if (this.#term === null || this.#options.clock.monotonic() >= this.#trustedUntil) return false;
    return this.#wall() - this.#wallAtRenewal < this.#trustMs;
  }

  /** Renews from now on whatever was taken. */
  async start(): Promise<void> {
    await this.#renewing.start();
  }

  /** Gives the lease back, so that a successor need not wait. */
  async stop(): Promise<void> {
    await this.#renewing.stop();
    await this.release();
  }

  /** Begins a new term; null when another process leads. */
  async take(): Promise<number | null> {
    const { db, clock, holder, ttlMs } = this.#options;
    this.#forget();
    const begunAt = this.#times();
    this.#term = await takeTerm(db, LEADER_LEASE, holder, clock.now(), ttlMs);
    if (this.#term === null) return null;
    this.#trustFrom(begunAt);
    // the answer may have taken too long
    if (!this.trusted()) this.#forget();
    return this.#term;
  }

  /** Ends the present term in order; true when there was one. */
  async release(): Promise<boolean> {
    const term = this.#term;
    this.#forget();
    if (term === null) return false;
    await releaseTerm(this.#options.db, LEADER_LEASE, term);
    return true;
  }

  /** The lease is distrusted a fifth of its time early: clocks drift, and a request begun now arrives a moment later. */
  get #trustMs(): number {
    return this.#options.ttlMs * 0.8;
  }

  get #trustedUntil(): number {
    return this.#renewedAt + this.#trustMs;
  }

  #wall(): number {
    return this.#options.wall?.() ?? 0;
  }

  #times(): Times {
    return { monotonic: this.#options.clock.monotonic(), wall: this.#wall() };
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const term = this.#term;
    if (term === null) return;
    if (!this.trusted()) return this.#end('the lease was not renewed in time');
    const begunAt = this.#times();
    const answer = await this.#ask(term, signal);
    if (this.#term !== term) return;
    if (answer === 'over') return this.#end('another process leads this fleet now');
    this.#isOverdue = answer === 'none';
    // trust that ran out meanwhile does not come back: others may have acted on it
    if (answer === 'kept' && this.trusted()) this.#trustFrom(begunAt);
  }

  /** An answer that is late counts as none: the next try may go over another connection. */
  async #ask(term: number, signal: AbortSignal): Promise<Answer> {
    const { db, clock, logger, ttlMs } = this.#options;
    const patience = new AbortController();
    const asking = renewTerm(db, LEADER_LEASE, term, clock.now(), ttlMs).then(
      (kept): Answer => (kept ? 'kept' : 'over'),
      (error: unknown): Answer => {
        if (!signal.aborted) logger.warn({ err: error, term }, 'the lease could not be renewed just now');
        return 'none';
      },
    );
    const given = AbortSignal.any([signal, patience.signal]);
    const late = pause(clock, ttlMs / 4, given).then((): Answer => 'none');
    const answer = await Promise.race([asking, late]);
    patience.abort();
    return answer;
  }

  #trustFrom({ monotonic, wall }: Times): void {
    const { clock } = this.#options;
    this.#renewedAt = monotonic;
    this.#wallAtRenewal = wall;
    this.#isOverdue = false;
    this.#doubt?.cancel();
    this.#doubt = clock.after(Math.max(0, Math.ceil(this.#trustedUntil - clock.monotonic())), () => {
      if (!this.trusted()) this.#end('the lease was not renewed in time');
    });
  }

  #end(reason: string): void {
    if (this.#term === null) return;
    this.#options.logger.error({ term: this.#term }, reason);
    this.#forget();
    this.#options.onOver();
  }

  #forget(): void {
    this.#term = null;
    this.#isOverdue = false;
    this.#doubt?.cancel();
    this.#doubt = undefined;
  }
}
