import { describe, expect, it, onTestFinished } from 'vitest';
import type { WishKind } from '../../src/domain/wish.ts';
import { LEADER_LEASE, takeTerm } from '../../src/store/leases.ts';
import { findDoneWish, finishWish, forgetWishes, insertWish, openWishes } from '../../src/store/wishes.ts';
import { ENGINES, openTempStore } from '../support/temp-store.ts';

describe.each(ENGINES)('wishes on %s', (engine) => {
  async function open() {
    const temp = await openTempStore(engine);
    onTestFinished(() => temp.close());
    const { db } = temp.store;
    const wish = (id: string, askedAt: number, kind: WishKind = 'adopt') =>
      insertWish(db, { id, instanceId: 'gpu', kind, askedAt });
    const finish = (id: string, term: number, now = 100, error: string | null = null) =>
      temp.store.transaction((tx) => finishWish(tx, id, { error, term, now }));
    return { db, wish, finish };
  }

  it('wait in the order in which they were asked, until they are done', async () => {
    const { db, wish, finish } = await open();
    await wish('b', 20, 'probe');
    await wish('a', 10);
    expect(await openWishes(db)).toEqual([
      { id: 'a', instanceId: 'gpu', kind: 'adopt', askedAt: 10 },
      { id: 'b', instanceId: 'gpu', kind: 'probe', askedAt: 20 },
    ]);
    expect(await findDoneWish(db, 'a')).toBeNull();
    expect(await finish('a', 1)).toBe(true);
    expect(await finish('b', 1, 200, 'it left the fleet')).toBe(true);
    expect(await openWishes(db)).toEqual([]);
    expect(await findDoneWish(db, 'a')).toEqual({ error: null });
    expect(await findDoneWish(db, 'b')).toEqual({ error: 'it left the fleet' });
  });

  it('are not done by a leader whose term is over', async () => {
    const { db, wish, finish } = await open();
    await wish('a', 10);
    const stale = (await takeTerm(db, LEADER_LEASE, 'first', 0, 1)) ?? 0;
    await db.updateTable('leases').set({ expires_at: 0 }).execute();
    const present = (await takeTerm(db, LEADER_LEASE, 'second', 1000, 60_000)) ?? 0;
    expect(await finish('a', stale)).toBe(false);
    expect(await openWishes(db)).toHaveLength(1);
    expect(await finish('a', present)).toBe(true);
    expect(await openWishes(db)).toEqual([]);
  });

  it('are forgotten a while after they were done, and not before', async () => {
    const { db, wish, finish } = await open();
    for (const id of ['old', 'new', 'open']) await wish(id, 1);
    await finish('old', 1, 99);
    await finish('new', 1, 100);
    await forgetWishes(db, 100);
    const left = await db.selectFrom('wishes').select('id').orderBy('id').execute();
    expect(left.map(({ id }) => id)).toEqual(['new', 'open']);
  });
});
