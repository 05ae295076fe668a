import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { Leadership } from '../../src/scheduler/leadership.ts';
import { openTempStore, type TempStore } from '../support/temp-store.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const LEASE_TTL_MS = 10_000;

let temp: TempStore;
let clock: VirtualClock;
let started: Leadership[];
let over: string[];

beforeEach(async () => {
  temp = await openTempStore();
  clock = new VirtualClock();
  started = [];
  over = [];
});
afterEach(async () => {
  for (const leadership of started) await leadership.stop();
  await temp.close();
});

async function process(holder: string, db = temp.store.db, wall?: () => number): Promise<Leadership> {
  const logger = createLogger('silent');
  const onOver = (): void => void over.push(holder);
  const leadership = new Leadership({ db, clock, holder, ttlMs: LEASE_TTL_MS, logger, onOver, wall });
  await leadership.start();
  started.push(leadership);
  return leadership;
}

/** The store takes no renewal, or answers it only once it is told to. */
function withoutRenewals(answer: () => Promise<never>): { readonly heal: () => void } {
  const { db } = temp.store;
  const original = db.updateTable;
  Object.assign(db, {
    updateTable: () => ({
      set: () => {
        const query = { where: () => query, executeTakeFirstOrThrow: answer };
        return query;
      },
    }),
  });
  return { heal: () => Object.assign(db, { updateTable: original }) };
}

describe('leadership', () => {
  it('is not trusted by a machine that was suspended, whose monotonic time stood still meanwhile', async () => {
    let wall = 1_000_000;
    const sleeper = await process('a', temp.store.db, () => wall);
    await sleeper.take();
    const taken = wall;
    // a clock that is set back ends nothing
    wall = taken - 3_600_000;
    expect(sleeper.trusted()).toBe(true);
    wall = taken + LEASE_TTL_MS * 0.8 - 1;
    expect(sleeper.trusted()).toBe(true);
    wall = taken + LEASE_TTL_MS * 0.8;
    expect(sleeper.trusted()).toBe(false);
  });

  it('is of one process at a time, kept for as long as it works, and each term is greater than those before', async () => {
    const first = await process('a');
    const second = await process('b');
    const term = (await first.take()) ?? 0;
    expect(term).toBeGreaterThan(0);
    await clock.advance(3 * LEASE_TTL_MS);
    expect(first.term).toBe(term);
    expect(await second.take()).toBeNull();
    expect(second.trusted()).toBe(false);
    expect(await first.release()).toBe(true);
    expect(first.trusted()).toBe(false);
    expect(await second.take()).toBeGreaterThan(term);
    expect(await first.release()).toBe(false);
    expect(over).toEqual([]);
  });

  it('is given back when the process stops', async () => {
    const first = await process('a');
    const second = await process('b');
    await first.take();
    await first.stop();
    expect(await second.take()).not.toBeNull();
  });

  it('is not trusted any more before the lease ends, whether or not anybody took it (F38)', async () => {
    const first = await process('a');
    await first.take();
    const second = await process('b');
    const store = withoutRenewals(() => Promise.reject(new Error('the database is away')));
    await clock.advance(LEASE_TTL_MS * 0.8 - 1);
    expect(first.trusted()).toBe(true);
    await clock.advance(1);
    expect(first.trusted()).toBe(false);
    expect(first.term).toBeNull();
    expect(over).toEqual(['a']);
    expect(await second.take()).toBeNull();
    await clock.advance(LEASE_TTL_MS * 0.2);
    expect(await second.take()).not.toBeNull();
    store.heal();
    expect(await first.take()).toBeNull();
  });

  it('survives renewals that fail, as long as one works in time', async () => {
    const first = await process('a');
    const term = await first.take();
    const store = withoutRenewals(() => Promise.reject(new Error('the database is away')));
    await clock.advance(LEASE_TTL_MS * 0.7);
    store.heal();
    await clock.advance(LEASE_TTL_MS * 0.7);
    expect(first.term).toBe(term);
    expect(over).toEqual([]);
  });

  it('is not held up by a renewal that hangs: the next one is tried beside it', async () => {
    const first = await process('a');
    const term = await first.take();
    const store = withoutRenewals(() => new Promise<never>(() => undefined));
    await clock.advance(LEASE_TTL_MS * 0.3);
    store.heal();
    await clock.advance(LEASE_TTL_MS);
    expect(first.term).toBe(term);
  });

  it('counts from when a renewal was begun, not from when it was answered (F38)', async () => {
    const first = await process('a');
    await first.take();
    let answer: () => void = () => undefined;
    const slow = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const store = withoutRenewals(() => slow.then(() => ({ numUpdatedRows: 1n })) as Promise<never>);
    // begun at a quarter of the time, answered at nearly a half, and then nothing more is answered
    await clock.advance(LEASE_TTL_MS * 0.49);
    answer();
    await clock.advance(0);
    store.heal();
    const silent = withoutRenewals(() => new Promise<never>(() => undefined));
    await clock.advance(LEASE_TTL_MS * (0.25 + 0.8 - 0.49) - 1);
    expect(first.trusted()).toBe(true);
    await clock.advance(1);
    expect(first.trusted()).toBe(false);
    expect(over).toEqual(['a']);
    silent.heal();
  });

  it('goes on in a new term when nobody took the lease meanwhile (F38)', async () => {
    const first = await process('a');
    const term = (await first.take()) ?? 0;
    const store = withoutRenewals(() => Promise.reject(new Error('the database is away')));
    await clock.advance(2 * LEASE_TTL_MS);
    store.heal();
    expect(first.trusted()).toBe(false);
    expect(await first.take()).toBeGreaterThan(term);
    expect(first.trusted()).toBe(true);
  });

  it('ends when a renewal finds another term', async () => {
    const first = await process('a');
    const term = (await first.take()) ?? 0;
    // a store whose clock is ahead gave the lease away early
    await temp.store.db
      .updateTable('leases')
      .set({ term: term + 1, holder: 'b' })
      .execute();
    expect(first.trusted()).toBe(true);
    await clock.advance(LEASE_TTL_MS / 4);
    expect(first.trusted()).toBe(false);
    expect(over).toEqual(['a']);
  });
});
