import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { LEASE_TTL_MS, Leadership } from '../../src/scheduler/leadership.ts';
import { openTempStore, type TempStore } from '../support/temp-store.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

let temp: TempStore;
let clock: VirtualClock;

beforeEach(async () => {
  temp = await openTempStore();
  clock = new VirtualClock();
});
afterEach(() => temp.close());

function process(holder: string): Leadership {
  return new Leadership({ db: temp.store.db, clock, holder, logger: createLogger('silent') });
}

/** So many ms go by in which the process works, so that it renews its lease. */
async function working(leader: Leadership, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 1000) {
    await clock.advance(1000);
    expect(await leader.keep()).toBe(true);
  }
}

describe('leadership', () => {
  it('is of one process at a time, and each term is greater than those before', async () => {
    const first = process('a');
    const second = process('b');
    const term = (await first.take()) ?? 0;
    expect(term).toBeGreaterThan(0);
    await working(first, 3 * LEASE_TTL_MS);
    expect(await second.take()).toBeNull();
    expect(second.trusted()).toBe(false);
    await first.release();
    expect(first.trusted()).toBe(false);
    expect(await second.take()).toBeGreaterThan(term);
  });

  it('is not trusted any more before the lease ends, whether or not anybody took it (F38)', async () => {
    const first = process('a');
    await first.take();
    const second = process('b');
    await clock.advance(LEASE_TTL_MS - 1);
    expect(first.trusted()).toBe(false);
    expect(first.term).toBeNull();
    expect(await second.take()).toBeNull();
    await clock.advance(1);
    expect(await second.take()).not.toBeNull();
    expect(await first.keep()).toBe(false);
    expect(await first.take()).toBeNull();
  });

  it('counts from when a renewal was begun, not from when it was answered (F38)', async () => {
    let time = 1_700_000_000_000;
    const late = { now: () => time, monotonic: () => time };
    const { db } = temp.store;
    const first = new Leadership({ db, clock: late, holder: 'a', logger: createLogger('silent') });
    await first.take();
    time += 15_000;
    let asked = 0;
    temp.store.onQuery((sql) => {
      if (!sql.startsWith('update "leases"')) return;
      asked++;
      // the answer takes until the renewed lease is nearly over
      time += LEASE_TTL_MS - 1;
    });
    expect(await first.keep()).toBe(false);
    expect(asked).toBe(1);
    expect(first.trusted()).toBe(false);
  });

  it('goes on in a new term when nobody took the lease meanwhile (F38)', async () => {
    const first = process('a');
    const term = (await first.take()) ?? 0;
    await clock.advance(2 * LEASE_TTL_MS);
    expect(await first.keep()).toBe(false);
    expect(await first.take()).toBeGreaterThan(term);
    expect(first.trusted()).toBe(true);
  });

  it('ends when a renewal finds another term', async () => {
    const first = process('a');
    const term = (await first.take()) ?? 0;
    // a store whose clock is ahead gave the lease away early
    await temp.store.db
      .updateTable('leases')
      .set({ term: term + 1, holder: 'b' })
      .execute();
    expect(first.trusted()).toBe(true);
    await clock.advance(15_000);
    expect(await first.keep()).toBe(false);
    expect(first.trusted()).toBe(false);
  });
});
