import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  sql,
} from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SettingsTable, Tables } from '../../src/store/schema.ts';
import { statement } from '../../src/store/statement.ts';
import { ENGINES, openTempStore, type TempStore } from '../support/temp-store.ts';

let temp: TempStore;
let heard: string[];
let built: number;
describe.each(ENGINES)('on %s', (engine) => {
  beforeEach(async () => {
    temp = await openTempStore(engine);
    heard = [];
    built = 0;
    temp.store.onQuery((text) => heard.push(text));
  });
  afterEach(() => temp.close());

  const insert = statement((q, row: SettingsTable) => q.insertInto('settings').values(row));
  const rename = statement((q, p: { name: string; value: string | undefined; to: string }) => {
    const update = q.updateTable('settings').set({ name: p.to }).where('name', '=', p.name);
    return (p.value === undefined ? update : update.where('value', '=', p.value)).returningAll();
  });
  /** Counts how often it is built. */
  const makeFind = () =>
    statement((q, p: { names: readonly string[] }) => {
      built++;
      return q.selectFrom('settings').selectAll().where('name', 'in', p.names).orderBy('name');
    });

  describe('a statement', () => {
    it('is built once and filled with the values of each call', async () => {
      const { db } = temp.store;
      const find = makeFind();
      await insert(db, { name: 'a', value: '1' });
      await insert(db, { name: 'b', value: '2' });
      expect((await find(db, { names: ['a'] })).rows).toEqual([{ name: 'a', value: '1' }]);
      expect((await find(db, { names: ['b'] })).rows).toEqual([{ name: 'b', value: '2' }]);
      expect((await find(db, { names: ['c'] })).rows).toEqual([]);
      expect(built).toBe(1);
    });

    it('has a shape for each length of a short list, and is built anew for a long one', async () => {
      const { db } = temp.store;
      const find = makeFind();
      const letters = ['a', 'b', 'c', 'd', 'e', 'f'];
      for (const name of letters) await insert(db, { name, value: name });
      for (let round = 1; round <= 3; round++) {
        for (let length = 1; length <= letters.length; length++) {
          const names = letters.slice(0, length);
          expect((await find(db, { names })).rows.map((row) => row.name)).toEqual(names);
        }
        expect(built).toBe(4 + 2 * round);
      }
    });

    it('has another shape where a value is undefined', async () => {
      const { db } = temp.store;
      await insert(db, { name: 'a', value: '1' });
      expect((await rename(db, { name: 'a', value: 'other', to: 'b' })).rows).toEqual([]);
      expect((await rename(db, { name: 'a', value: undefined, to: 'b' })).rows).toEqual([
        { name: 'b', value: '1' },
      ]);
      expect((await rename(db, { name: 'b', value: '1', to: 'c' })).rows).toEqual([
        { name: 'c', value: '1' },
      ]);
    });

    it('keeps what the text itself fixes', async () => {
      const { db } = temp.store;
      const append = statement((q, p: { name: string; end: string }) =>
        q
          .updateTable('settings')
          .set((eb) => ({ value: eb(eb(eb.ref('value'), '||', eb.val('-')), '||', p.end) }))
          .where('name', '=', p.name)
          .returning('value'),
      );
      await insert(db, { name: 'a', value: '1' });
      await append(db, { name: 'a', end: 'x' });
      expect((await append(db, { name: 'a', end: 'y' })).rows).toEqual([{ value: '1-x-y' }]);
    });

    it('belongs to the transaction it is run in', async () => {
      const { store } = temp;
      const find = makeFind();
      const undone = store.transaction(async (tx) => {
        await insert(tx, { name: 'a', value: '1' });
        expect((await find(tx, { names: ['a'] })).rows).toHaveLength(1);
        throw new Error('undo');
      });
      await expect(undone).rejects.toThrow('undo');
      expect((await find(store.db, { names: ['a'] })).rows).toEqual([]);
      expect(built).toBe(1);
    });

    it('speaks the dialect of the database it is given', async () => {
      const texts: string[] = [];
      const postgres = new Kysely<Tables>({
        dialect: {
          createAdapter: () => new PostgresAdapter(),
          createDriver: () => new DummyDriver(),
          createIntrospector: (db) => new PostgresIntrospector(db),
          createQueryCompiler: () => new PostgresQueryCompiler(),
        },
        log: ({ query }) => {
          texts.push(`${query.sql} <- ${query.parameters}`);
        },
      });
      const find = makeFind();
      for (const db of [temp.store.db, postgres, temp.store.db, postgres])
        await find(db, { names: ['a', 'b'] });
      expect(built).toBe(2);
      expect(new Set(texts)).toEqual(
        new Set(['select * from "settings" where "name" in ($1, $2) order by "name" <- a,b']),
      );
      const own = engine === 'SQLite' ? '(?, ?)' : '($1, $2)';
      expect(new Set(heard)).toEqual(
        new Set([`select * from "settings" where "name" in ${own} order by "name"`]),
      );
    });
  });

  describe('a value that a statement needs', () => {
    it('must be given at the first call and at every later one', async () => {
      const { db } = temp.store;
      const bad = { name: 'a', to: 'b' } as unknown as Parameters<typeof rename>[1];
      const fresh = statement((q, p: { name: string; value: string }) =>
        q.insertInto('settings').values({ name: p.name, value: p.value }),
      );
      await expect(fresh(db, { name: 'a' } as SettingsTable)).rejects.toThrow('its value: value');
      await fresh(db, { name: 'a', value: '1' });
      await expect(fresh(db, { name: 'b' } as SettingsTable)).rejects.toThrow('its value: value');
      await expect(rename(db, bad)).rejects.toThrow('its value: value');
      expect(heard).toHaveLength(1);
    });

    it('may not be undefined where it is bound', async () => {
      const careless = statement((q, p: { name: string | undefined }) =>
        q.selectFrom('settings').selectAll().where(sql<boolean>`name = ${p.name}`),
      );
      await expect(careless(temp.store.db, { name: undefined })).rejects.toThrow(TypeError);
      expect((await careless(temp.store.db, { name: 'a' })).rows).toEqual([]);
    });
  });
});
