import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { createStoreClock, nearest } from '../../src/store/store-clock.ts';
import { eventually } from '../support/eventually.ts';
import { openTempStore, type TempStore } from '../support/temp-store.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const logger = createLogger('silent');
const TEN_MINUTES = 600_000;
/** Far more than a query takes, far less than any clock here is wrong by. */
const CLOSE_MS = 60_000;

describe('the clock of a shared store', () => {
  let temp: TempStore;
  beforeAll(async () => {
    temp = await openTempStore('Postgres');
  });
  afterAll(() => temp.close());

  async function databaseTime(): Promise<number> {
    const { rows } = await sql<{
      at: number;
    }>`select (extract(epoch from clock_timestamp()) * 1000)::bigint as at`.execute(temp.store.db);
    return rows[0]?.at ?? Number.NaN;
  }

  it.each([-TEN_MINUTES, TEN_MINUTES])(
    'is the database’s on a host that is %i ms off (F37)',
    async (offBy) => {
      const host: Clock = { ...systemClock, now: () => systemClock.now() + offBy };
      const clock = await createStoreClock(temp.store, host, logger);
      expect(Math.abs(clock.now() - (await databaseTime()))).toBeLessThan(CLOSE_MS);
      expect(Number.isInteger(clock.now())).toBe(true);
    },
  );

  it('does not follow the host’s when that is set (F37)', async () => {
    let setBy = 0;
    const host: Clock = { ...systemClock, now: () => systemClock.now() + setBy };
    const clock = await createStoreClock(temp.store, host, logger);
    const before = clock.now();
    setBy = -TEN_MINUTES;
    const after = clock.now();
    expect(after).toBeGreaterThanOrEqual(before);
    expect(after - before).toBeLessThan(CLOSE_MS);
  });

  it('finds the time again after its host slept', async () => {
    const host = new VirtualClock();
    const clock = await createStoreClock(temp.store, host, logger);
    await clock.start();
    const rests = () => eventually(() => host.pending === 1);
    await rests();
    // ten minutes of the host in no time of the database's: what it counted is wrong until it looks again
    await host.advance(TEN_MINUTES);
    await eventually(async () => {
      await rests();
      if (Math.abs(clock.now() - (await databaseTime())) < CLOSE_MS) return true;
      // it was looking when time leapt; the next look comes half a minute later
      await host.advance(CLOSE_MS / 2);
      return false;
    });
    await clock.stop();
    await eventually(() => host.pending === 0);
  });

  it('counts on alone while the database does not answer', async () => {
    const other = await openTempStore('Postgres');
    const host = new VirtualClock();
    const clock = await createStoreClock(other.store, host, logger);
    await other.close();
    await clock.start();
    const before = clock.now();
    await host.advance(TEN_MINUTES);
    expect(clock.now() - before).toBe(TEN_MINUTES);
    await clock.stop();
  });
});

describe('the clock of an embedded store', () => {
  it('is the host’s', async () => {
    const temp = await openTempStore();
    const host = new VirtualClock();
    const clock = await createStoreClock(temp.store, host, logger);
    await clock.start();
    await host.advance(1234);
    expect(clock.now()).toBe(host.now());
    expect(clock.monotonic()).toBe(1234);
    await clock.stop();
    expect(host.pending).toBe(0);
    await temp.close();
  });
});

describe('a correction', () => {
  it('is none while the offset may be right', () => {
    expect(nearest(100, { low: 90, high: 110 })).toBe(100);
  });

  it('goes to the nearest offset that may be right', () => {
    expect(nearest(100, { low: 105, high: 125 })).toBe(105);
    expect(nearest(100, { low: 80, high: 95 })).toBe(95);
  });
});
