/** What every dialect owes the queries above it. Run on each engine by its own test file. */
import fc from 'fast-check';
import { type Kysely, sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

interface KindsTable {
  id: string;
  text_value: string | null;
  int_value: number | null;
  big_value: number | bigint | null;
  float_value: number | null;
  flag_value: number | boolean | null;
  bytes_value: Buffer | null;
}

interface Kinds {
  kinds: KindsTable;
}

export interface DialectUnderTest {
  /** An empty database. */
  open(): Promise<{ db: Kysely<Kinds>; close(): Promise<void> }>;
  /** The engine's type for bytes. */
  readonly bytesType: 'blob' | 'bytea';
}

const INT = { min: -(2 ** 31), max: 2 ** 31 - 1 };
const SAFE = { min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER };
const text = fc.string({ unit: 'binary', maxLength: 40 });
const nullable = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: null });
const row = fc.record({
  text_value: nullable(text),
  int_value: nullable(fc.integer(INT)),
  big_value: nullable(fc.integer(SAFE)),
  float_value: nullable(
    fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 }).map((n) => n + 0),
  ),
  flag_value: nullable(fc.boolean()),
  bytes_value: nullable(fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))),
});

export function dialectContract(name: string, engine: DialectUnderTest): void {
  describe(`the dialect of ${name}`, () => {
    let db: Kysely<Kinds>;
    let close: () => Promise<void>;

    beforeAll(async () => {
      ({ db, close } = await engine.open());
      await db.schema
        .createTable('kinds')
        .addColumn('id', 'text', (c) => c.primaryKey())
        .addColumn('text_value', 'text')
        .addColumn('int_value', 'integer')
        .addColumn('big_value', 'bigint')
        .addColumn('float_value', 'double precision')
        .addColumn('flag_value', 'integer')
        .addColumn('bytes_value', engine.bytesType)
        .execute();
    });
    afterAll(() => close());

    it('gives back every value of every kind of column as it went in', async () => {
      let serial = 0;
      await fc.assert(
        fc.asyncProperty(row, async (values) => {
          const id = `row-${serial++}`;
          await db
            .insertInto('kinds')
            .values({ id, ...values })
            .execute();
          const found = await db
            .selectFrom('kinds')
            .selectAll()
            .where('id', '=', id)
            .executeTakeFirstOrThrow();
          expect(found).toEqual({
            id,
            ...values,
            text_value:
              values.text_value?.replaceAll('\0', '\uFFFD').replace(/\p{Surrogate}/gu, '\uFFFD') ?? null,
            big_value: values.big_value === null ? null : values.big_value + 0,
            flag_value: values.flag_value === null ? null : Number(values.flag_value),
          });
        }),
        { numRuns: 300 },
      );
    });

    it('finds a row again by the value that was stored, whatever characters it has', async () => {
      let serial = 0;
      await fc.assert(
        fc.asyncProperty(text, async (value) => {
          const id = `found-${serial++}`;
          await db
            .insertInto('kinds')
            .values({ ...EMPTY, id, text_value: value })
            .execute();
          const rows = await db.selectFrom('kinds').select('id').where('text_value', '=', value).execute();
          expect(rows.map((found) => found.id)).toContain(id);
        }),
        { numRuns: 100 },
      );
    });

    it('keeps integer arithmetic on parameters integer', async () => {
      await db
        .insertInto('kinds')
        .values({ ...EMPTY, id: 'sum', big_value: 9_007_199_254_740_000 })
        .execute();
      await db
        .updateTable('kinds')
        .set((eb) => ({
          big_value: eb('big_value', '+', 901),
          int_value: sql<number>`cast(${7} as integer) / ${2}`,
        }))
        .where('id', '=', 'sum')
        .execute();
      const found = await db
        .selectFrom('kinds')
        .selectAll()
        .where('id', '=', 'sum')
        .executeTakeFirstOrThrow();
      expect(found.big_value).toBe(9_007_199_254_740_901);
      expect(found.int_value).toBe(3);
    });

    it('reads counts, sums and means as numbers', async () => {
      const numbers =
        await sql<object>`select count(*) as n, sum(big_value) as total, avg(int_value) as mean from kinds
        where id in ('one', 'two')`.execute(db);
      expect(numbers.rows).toEqual([{ n: 0, total: null, mean: null }]);
      for (const [id, big_value, int_value] of [
        ['one', 9_007_199_254_740_000, 1],
        ['two', 991, 2],
      ] as const) {
        await db
          .insertInto('kinds')
          .values({ ...EMPTY, id, big_value, int_value })
          .execute();
      }
      const after =
        await sql<object>`select count(*) as n, sum(big_value) as total, avg(int_value) as mean from kinds
        where id in ('one', 'two')`.execute(db);
      expect(after.rows).toEqual([{ n: 2, total: Number.MAX_SAFE_INTEGER, mean: 1.5 }]);
    });

    it.each([
      ['undefined', undefined],
      ['not a number', Number.NaN],
      ['infinity', Number.POSITIVE_INFINITY],
      ['an integer beyond 2^53', 2 ** 53],
      ['a bigint beyond 2^53', 2n ** 60n],
      ['an object', { a: 1 }],
      ['a list', [1]],
      ['a date', new Date(0)],
      ['a symbol', Symbol('x')],
    ])('refuses %s with a TypeError and serves the next query', async (_what, value) => {
      await expect(sql`select ${value} as value`.execute(db)).rejects.toThrow(TypeError);
      expect((await sql<{ n: number }>`select ${1} + 1 as n`.execute(db)).rows).toEqual([{ n: 2 }]);
    });

    it('counts the rows a statement changed', async () => {
      await db
        .insertInto('kinds')
        .values({ ...EMPTY, id: 'once' })
        .execute();
      const again = await db
        .insertInto('kinds')
        .values({ ...EMPTY, id: 'once' })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirstOrThrow();
      expect(again.numInsertedOrUpdatedRows).toBe(0n);
      const update = db.updateTable('kinds').set({ int_value: 1 });
      expect((await update.where('id', '=', 'once').executeTakeFirstOrThrow()).numUpdatedRows).toBe(1n);
      expect((await update.where('id', '=', 'nobody').executeTakeFirstOrThrow()).numUpdatedRows).toBe(0n);
    });

    it('undoes a transaction that throws, and goes on after a statement that fails', async () => {
      const failing = db.transaction().execute(async (tx) => {
        await tx
          .insertInto('kinds')
          .values({ ...EMPTY, id: 'undone' })
          .execute();
        await tx
          .insertInto('kinds')
          .values({ ...EMPTY, id: 'undone' })
          .execute();
      });
      await expect(failing).rejects.toThrow();
      const rows = await db.selectFrom('kinds').select('id').where('id', '=', 'undone').execute();
      expect(rows).toEqual([]);
    });

    it('serves many transactions at once without mixing them', async () => {
      await db
        .insertInto('kinds')
        .values({ ...EMPTY, id: 'counter', int_value: 0 })
        .execute();
      await Promise.all(
        Array.from({ length: 50 }, () =>
          db.transaction().execute(async (tx) => {
            const { int_value } = await tx
              .updateTable('kinds')
              .set((eb) => ({ int_value: eb('int_value', '+', 1) }))
              .where('id', '=', 'counter')
              .returning('int_value')
              .executeTakeFirstOrThrow();
            if ((int_value ?? 0) % 5 === 0) throw new Error('undo this one');
          }),
        ).map((done) => done.catch(() => undefined)),
      );
      const { int_value } = await db
        .selectFrom('kinds')
        .select('int_value')
        .where('id', '=', 'counter')
        .executeTakeFirstOrThrow();
      // Every fifth is undone, so the counter never gets past four.
      expect(int_value).toBe(4);
    });
  });
}

const EMPTY = {
  text_value: null,
  int_value: null,
  big_value: null,
  float_value: null,
  flag_value: null,
  bytes_value: null,
} as const;
