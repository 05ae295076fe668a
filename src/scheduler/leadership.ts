/**
 * The lease that makes this process the leader. Its term fences what an earlier leader still tries to write; what cannot
 * be fenced, a request to an instance, is not begun once the lease may have run out by our own clock, however long this
 * process slept.
 *
 *   standby ── take ──▶ leading ── renewed too late, or another took over ──▶ standby
 */
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { LEADER_LEASE, releaseTerm, renewTerm, takeTerm } from '../store/leases.ts';
import type { Db } from '../store/open.ts';

export interface LeadershipOptions {
  readonly db: Db;
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
  /** Names this process. */
  readonly holder: string;
  readonly logger: Logger;
}

export const LEASE_TTL_MS = 30_000;
const RENEW_EVERY_MS = 10_000;
/** The lease is distrusted this long before it ends: clocks differ, and a request begun now arrives a moment later. */
const MARGIN_MS = 5000;

export class Leadership {
  readonly #options: LeadershipOptions;
  #term: number | null = null;
  #renewedAt = Number.NEGATIVE_INFINITY;

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  /** Of the present leadership; null while another process may lead. */
  get term(): number | null {
    return this.trusted() ? this.#term : null;
  }

  /** No other process can lead now. Asked before everything that cannot be undone. */
  trusted(): boolean {
    return this.#term !== null && this.#options.clock.monotonic() < this.#trustedUntil;
  }

  /** Begins a new term; null when another process leads. */
  async take(): Promise<number | null> {
    const { db, clock, holder } = this.#options;
    const begunAt = clock.monotonic();
    this.#term = await takeTerm(db, LEADER_LEASE, holder, clock.now(), LEASE_TTL_MS);
    this.#renewedAt = begunAt;
    return this.term;
  }

  /** Renews in time; false once the term is over. A lease that may have run out is never renewed: it takes a new term. */
  async keep(): Promise<boolean> {
    const { db, clock, logger } = this.#options;
    const begunAt = clock.monotonic();
    if (!this.trusted()) {
      if (this.#term !== null) logger.error({ term: this.#term }, 'the lease was not renewed in time');
      this.#term = null;
      return false;
    }
    if (this.#term === null || begunAt - this.#renewedAt < RENEW_EVERY_MS) return true;
    if (await renewTerm(db, LEADER_LEASE, this.#term, clock.now(), LEASE_TTL_MS)) {
      this.#renewedAt = begunAt;
      return this.trusted();
    }
    logger.error({ term: this.#term }, 'another process leads this fleet now');
    this.#term = null;
    return false;
  }

  async release(): Promise<void> {
    const term = this.#term;
    this.#term = null;
    if (term !== null) await releaseTerm(this.#options.db, LEADER_LEASE, term);
  }

  /** Counted from when the last renewal was begun, as that is when the row's time began. */
  get #trustedUntil(): number {
    return this.#renewedAt + LEASE_TTL_MS - MARGIN_MS;
  }
}
