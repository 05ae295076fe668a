import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isHeld, isTermOver, releaseTerm, renewTerm, takeTerm } from '../../src/store/leases.ts';
import type { Db } from '../../src/store/open.ts';
import { ENGINES, openTempStore, type TempStore } from '../support/temp-store.ts';
import { othersWaitForLocks } from '../support/waiting-lock.ts';

let temp: TempStore;
let db: Db;
afterEach(() => temp.close());

/** So that no other clock can be meant by mistake. */
const ANY_NOW = 5;
const MINUTE = 60_000;

describe('a lease in an embedded store', () => {
  beforeEach(async () => {
    temp = await openTempStore('SQLite');
    db = temp.store.db;
  });

  it('gives each holder a greater term, and only when the one before is over', async () => {
    expect(await takeTerm(db, 's', 'a', 0, 100)).toBe(1);
    expect(await takeTerm(db, 's', 'b', 99, 100)).toBeNull();
    expect(await renewTerm(db, 's', 1, 99, 100)).toBe(true);
    expect(await takeTerm(db, 's', 'b', 150, 100)).toBeNull();
    expect(await isHeld(db, 's', 198)).toBe(true);
    expect(await isHeld(db, 's', 199)).toBe(false);
    expect(await takeTerm(db, 's', 'b', 199, 100)).toBe(2);
    expect(await renewTerm(db, 's', 1, 200, 100)).toBe(false);
    await releaseTerm(db, 's', 1);
    expect(await takeTerm(db, 's', 'a', 200, 100)).toBeNull();
    await releaseTerm(db, 's', 2);
    expect(await takeTerm(db, 's', 'a', 200, 100)).toBe(3);
    expect(await takeTerm(db, 's', 'a', 201, 100)).toBe(4);
  });
});

describe('a lease in a shared store', () => {
  beforeEach(async () => {
    temp = await openTempStore('Postgres');
    db = temp.store.db;
  });

  /** As if that much time had gone by. */
  const age = (ms: number) => sql`update leases set expires_at = expires_at - ${ms}`.execute(db);

  it('gives each holder a greater term, and only when the one before is over', async () => {
    expect(await takeTerm(db, 's', 'a', ANY_NOW, MINUTE)).toBe(1);
    expect(await takeTerm(db, 's', 'b', ANY_NOW, MINUTE)).toBeNull();
    await age(MINUTE / 2);
    expect(await renewTerm(db, 's', 1, ANY_NOW, MINUTE)).toBe(true);
    await age(MINUTE / 2);
    expect(await takeTerm(db, 's', 'b', ANY_NOW, MINUTE)).toBeNull();
    expect(await isHeld(db, 's', ANY_NOW)).toBe(true);
    await age(MINUTE / 2);
    expect(await isHeld(db, 's', ANY_NOW)).toBe(false);
    expect(await takeTerm(db, 's', 'b', ANY_NOW, MINUTE)).toBe(2);
    expect(await renewTerm(db, 's', 1, ANY_NOW, MINUTE)).toBe(false);
    await releaseTerm(db, 's', 1);
    expect(await takeTerm(db, 's', 'a', ANY_NOW, MINUTE)).toBeNull();
    await releaseTerm(db, 's', 2);
    expect(await takeTerm(db, 's', 'a', ANY_NOW, MINUTE)).toBe(3);
    expect(await takeTerm(db, 's', 'a', ANY_NOW, MINUTE)).toBe(4);
  });

  it('that was given back is not taken back by a renewal that comes late', async () => {
    expect(await takeTerm(db, 's', 'a', ANY_NOW, MINUTE)).toBe(1);
    await releaseTerm(db, 's', 1);
    expect(await renewTerm(db, 's', 1, ANY_NOW, MINUTE)).toBe(false);
    expect(await isHeld(db, 's', ANY_NOW)).toBe(false);
  });

  it.each([-600_000, 600_000])('does not ask a host whose clock is %i ms off (F37)', async (offBy) => {
    const wrong = Date.now() + offBy;
    expect(await takeTerm(db, 's', 'a', wrong, MINUTE)).toBe(1);
    expect(await takeTerm(db, 's', 'b', wrong, MINUTE)).toBeNull();
    expect(await isHeld(db, 's', wrong)).toBe(true);
    await age(2 * MINUTE);
    expect(await takeTerm(db, 's', 'b', wrong, MINUTE)).toBe(2);
  });

  it('may be kept by a holder that comes late, as long as nobody else took it', async () => {
    expect(await takeTerm(db, 's', 'a', ANY_NOW, MINUTE)).toBe(1);
    await age(2 * MINUTE);
    expect(await renewTerm(db, 's', 1, ANY_NOW, MINUTE)).toBe(true);
    expect(await takeTerm(db, 's', 'b', ANY_NOW, MINUTE)).toBeNull();
  });

  it('goes to one of many processes that ask at once, each time it is over', async () => {
    const other = await temp.openAnother();
    for (let round = 1; round <= 5; round++) {
      const asking = Array.from({ length: 20 }, (_, n) =>
        takeTerm(n % 2 ? db : other.db, 's', `h${round}-${n}`, ANY_NOW, MINUTE),
      );
      const terms = await Promise.all(asking);
      expect(terms.filter((term) => term !== null)).toEqual([round]);
      await age(2 * MINUTE);
    }
  });

  it('does not begin another term while somebody relies on the one that is', async () => {
    const other = await temp.openAnother();
    const term = (await takeTerm(db, 's', 'a', ANY_NOW, MINUTE)) ?? 0;
    await age(2 * MINUTE);
    const order: string[] = [];
    let taking: Promise<void> | undefined;
    await temp.store.transaction(async (tx) => {
      expect(await isTermOver(tx, 's', term)).toBe(false);
      taking = takeTerm(other.db, 's', 'b', ANY_NOW, MINUTE).then((next) => {
        order.push(`term ${next}`);
      });
      await othersWaitForLocks(tx);
      order.push('relied');
    });
    await taking;
    expect(order).toEqual(['relied', 'term 2']);
  });
});

describe('whoever relies on a term', () => {
  it('keeps neither its holder from renewing it nor others from looking', async () => {
    temp = await openTempStore('Postgres');
    const other = await temp.openAnother();
    const term = (await takeTerm(temp.store.db, 's', 'a', ANY_NOW, MINUTE)) ?? 0;
    await temp.store.transaction(async (tx) => {
      expect(await isTermOver(tx, 's', term)).toBe(false);
      expect(await renewTerm(other.db, 's', term, ANY_NOW, MINUTE)).toBe(true);
      expect(await takeTerm(other.db, 's', 'b', ANY_NOW, MINUTE)).toBeNull();
    });
  });
});

describe.each(ENGINES)('a lease on %s', (engine) => {
  beforeEach(async () => {
    temp = await openTempStore(engine);
    db = temp.store.db;
  });

  it('goes to one of many who ask at once', async () => {
    const holders = Array.from({ length: 20 }, (_, n) => `h${n}`);
    const terms = await Promise.all(holders.map((holder) => takeTerm(db, 's', holder, 0, MINUTE)));
    expect(terms.filter((term) => term !== null)).toEqual([1]);
  });

  it('that nobody ever had is over for nobody', async () => {
    expect(await isTermOver(db, 's', 1)).toBe(false);
    expect(await isHeld(db, 's', 0)).toBe(false);
  });
});
