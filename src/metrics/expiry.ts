/** Lets figures go once they are kept no more, in small steps: nobody waits for one longer than a few milliseconds. */
import { expiredBefore } from '../domain/metric-kept.ts';
import { ALL_TIME, WIDTHS } from '../domain/metric-measure.ts';
import { type Clock, pause } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { Loop } from '../lib/loop.ts';
import type { Service } from '../lib/service.ts';
import {
  dropCells,
  dropEmptySeries,
  dropFailures,
  dropRemovedInstances,
  dropUsage,
} from '../store/metric-expiry.ts';
import type { Db, Store } from '../store/open.ts';

const INTERVAL_MS = 300_000;
const ROWS_AT_ONCE = 300;
/** Between two steps, for everybody else. */
const PAUSE_MS = 10;

export interface ExpiryOptions {
  readonly store: Pick<Store, 'relaxed'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** METRICS_RETENTION_MS */
  readonly retentionMs: number;
  /** Asked throughout: this process is the one to do it. */
  readonly mayRun: () => boolean;
}

export interface Expiry extends Service {
  /** One full round. */
  round(signal?: AbortSignal): Promise<void>;
}

export function createExpiry({ store, clock, logger, retentionMs, mayRun }: ExpiryOptions): Expiry {
  /** Repeats a step that answers whether more is left. */
  const repeat = async (
    signal: AbortSignal | undefined,
    step: (tx: Db) => Promise<boolean>,
  ): Promise<void> => {
    while (!signal?.aborted && mayRun() && (await store.relaxed(step))) await pause(clock, PAUSE_MS, signal);
  };

  const round: Expiry['round'] = async (signal) => {
    const now = clock.now();
    for (const width of WIDTHS) {
      if (width === ALL_TIME) continue;
      const before = expiredBefore(width, now, retentionMs);
      await repeat(signal, async (tx) => (await dropCells(tx, width, before, ROWS_AT_ONCE)) === ROWS_AT_ONCE);
    }
    const oldest = expiredBefore(86_400_000, now, retentionMs);
    await repeat(signal, async (tx) => (await dropUsage(tx, oldest, ROWS_AT_ONCE)) === ROWS_AT_ONCE);
    await repeat(signal, async (tx) => {
      await dropFailures(tx, oldest);
      await dropRemovedInstances(tx, oldest);
      return false;
    });
    let last: number | null = 0;
    await repeat(signal, async (tx) => {
      last = await dropEmptySeries(tx, last ?? 0, ROWS_AT_ONCE);
      return last !== null;
    });
  };

  const step = async (signal: AbortSignal): Promise<void> => {
    if (mayRun()) await round(signal);
  };
  const loop = new Loop({ name: 'expiry of figures', intervalMs: INTERVAL_MS, step, clock, logger });
  return { start: () => loop.start(), stop: () => loop.stop(), round };
}
