/**
 * The time of the store: where several processes share a database, rows are dated by its clock alone, so that no wall
 * clocks of hosts are ever compared. Between two looks at the database a process counts with its own monotonic time; what
 * its wall clock says, or jumps to, changes nothing. SQLite has one process, whose own clock is the store's.
 */
import { sql } from 'kysely';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { Loop } from '../lib/loop.ts';
import type { Service } from '../lib/service.ts';
import { isPostgres } from './engine-sql.ts';
import type { Db, Store } from './open.ts';

/** Between two looks: own time drifts by a few ms in it at most, unless the machine was suspended. */
const REFRESH_MS = 30_000;
/** The quickest answer of so many says most exactly how late it is. */
const LOOKS = 3;
/** A correction of this size means that a clock was set, or a machine slept. */
const WORTH_SAYING_MS = 1000;

/** What the database's clock is ahead of own monotonic time: somewhere between the two, in ms. */
export interface OffsetRange {
  readonly low: number;
  readonly high: number;
}

/** A clock that follows the database once it is started; before that it says what was measured when it was made. */
export type StoreClock = Clock & Service;

/** Looks at the database's clock once before it resolves; throws when the database does not answer. */
export async function createStoreClock(store: Store, base: Clock, logger: Logger): Promise<StoreClock> {
  if (!isPostgres(store.db)) return { ...passedOn(base), now: () => base.now(), ...NOTHING_TO_RUN };
  let offset = middle(await measure(store.db, base));
  const refresh = async (): Promise<void> => {
    const corrected = nearest(offset, await measure(store.db, base));
    const byMs = Math.round(corrected - offset);
    if (Math.abs(byMs) >= WORTH_SAYING_MS) logger.warn({ byMs }, 'the time was corrected by the database');
    offset = corrected;
  };
  const loop = new Loop({ name: 'store-clock', intervalMs: REFRESH_MS, step: refresh, clock: base, logger });
  return {
    ...passedOn(base),
    now: () => Math.floor(base.monotonic() + offset),
    start: () => loop.start(),
    stop: () => loop.stop(),
  };
}

const NOTHING_TO_RUN: Service = {
  start: () => Promise.resolve(),
  stop: () => Promise.resolve(),
};

function passedOn(base: Clock): Pick<Clock, 'monotonic' | 'after'> {
  return { monotonic: () => base.monotonic(), after: (ms, callback) => base.after(ms, callback) };
}

/** The database read its clock after it was asked and before it answered: that is all one can know. */
async function measure(db: Db, base: Clock): Promise<OffsetRange> {
  const query = sql<{ at: number }>`select extract(epoch from clock_timestamp()) * 1000 as at`.compile(db);
  let best: OffsetRange = { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };
  for (let look = 0; look < LOOKS; look++) {
    const asked = base.monotonic();
    const at = (await db.executeQuery(query)).rows[0]?.at ?? Number.NaN;
    const range = { low: at - base.monotonic(), high: at - asked };
    // of equals the later, in case the machine slept in between
    if (range.high - range.low <= best.high - best.low) best = range;
  }
  return best;
}

function middle({ low, high }: OffsetRange): number {
  return (low + high) / 2;
}

/** Stays where it is while that may be right, and moves no further than it must: time should not go back for nothing. */
export function nearest(offset: number, { low, high }: OffsetRange): number {
  return Math.min(high, Math.max(low, offset));
}
