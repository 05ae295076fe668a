import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { storeTrouble } from '../../src/store/retryable.ts';
import { fillDatabase } from '../support/full-database.ts';
import { openTempStore, type TempStore } from '../support/temp-store.ts';

let temp: TempStore;
beforeEach(async () => {
  temp = await openTempStore();
});
afterEach(() => temp.close());

const rows = async (): Promise<number> => {
  const found = await temp.store.db
    .selectFrom('settings')
    .select(sql<number>`count(*)`.as('n'))
    .where('name', 'like', 'row%')
    .executeTakeFirstOrThrow();
  return found.n;
};

/** Two rows in one transaction, large enough to need a page. */
const write = (n: number, how: 'transaction' | 'relaxed') =>
  temp.store[how](async (tx) => {
    for (const name of [`row${n}`, `row${n} too`]) {
      await tx
        .insertInto('settings')
        .values({ name, value: 'x'.repeat(4000) })
        .execute();
    }
  });

describe('a database without room (F35)', () => {
  it.each(['transaction', 'relaxed'] as const)(
    'says so in each %s, writes nothing half, and goes on when there is room',
    async (how) => {
      await write(0, how);
      const makeRoom = await fillDatabase(temp.store.db);
      for (const n of [1, 2, 3]) {
        const error = await write(n, how).then(
          () => null,
          (reason: unknown) => reason,
        );
        expect(storeTrouble(error)).toBe('full');
      }
      expect(await rows()).toBe(2);
      expect(await temp.store.healthy()).toBe(true);
      await makeRoom();
      await write(4, how);
      expect(await rows()).toBe(4);
    },
  );

  it('is told from other errors', async () => {
    const error = await sql`select * from nothing`.execute(temp.store.db).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(Error);
    expect(storeTrouble(error)).toBeNull();
    expect(storeTrouble('SQLITE_FULL')).toBeNull();
  });
});
