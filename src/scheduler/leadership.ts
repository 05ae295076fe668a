/** The lease that makes this process the leader. Its term fences what an earlier leader still tries to write. */
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { releaseTerm, renewTerm, takeTerm } from '../store/leases.ts';
import type { Db } from '../store/open.ts';

export interface LeadershipOptions {
  readonly db: Db;
  readonly clock: Clock;
  /** Names this process. */
  readonly holder: string;
  readonly logger: Logger;
}

const LEASE = 'scheduler';
const TTL_MS = 30_000;
const RENEW_EVERY_MS = 10_000;

export class Leadership {
  readonly #options: LeadershipOptions;
  #term: number | null = null;
  #renewedAt = 0;

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  get leads(): boolean {
    return this.#term !== null;
  }

  /** Of the present or the last leadership. */
  get term(): number {
    return this.#term ?? 0;
  }

  /** @throws when another process leads. */
  async take(): Promise<number> {
    const { db, clock, holder } = this.#options;
    const term = await takeTerm(db, LEASE, holder, clock.now(), TTL_MS);
    if (term === null) throw new Error('another process leads this fleet');
    this.#term = term;
    this.#renewedAt = clock.monotonic();
    return term;
  }

  /** Renews in time; false once another process has taken over. */
  async keep(): Promise<boolean> {
    const { db, clock, logger } = this.#options;
    if (this.#term === null) return false;
    if (clock.monotonic() - this.#renewedAt < RENEW_EVERY_MS) return true;
    const kept = await renewTerm(db, LEASE, this.#term, clock.now(), TTL_MS);
    this.#renewedAt = clock.monotonic();
    if (kept) return true;
    logger.error({ term: this.#term }, 'another process leads this fleet now');
    this.#term = null;
    return false;
  }

  async release(): Promise<void> {
    const term = this.#term;
    this.#term = null;
    if (term !== null) await releaseTerm(this.#options.db, LEASE, term);
  }
}
