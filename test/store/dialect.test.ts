import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Dialect, Kysely, sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { createEngine } from '../../src/store/dialect.ts';
import type { Synchronous } from '../../src/store/sqlite-database.ts';
import { createTestDatabase } from '../support/test-database.ts';
import { dialectContract } from './dialect.contract.ts';

const DEFAULTS = { poolMax: 10, logger: createLogger('silent') };

async function openSqlite<T>(synchronous: Synchronous = 'NORMAL', heard: string[] = []) {
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-dialect-'));
  const engine = createEngine({
    dataDir,
    synchronous,
    listeners: new Set([(q: string) => heard.push(q)]),
    ...DEFAULTS,
  });
  const db = new Kysely<T>({ dialect: engine.dialect });
  return {
    db,
    engine,
    async close() {
      await db.destroy();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function openPostgres<T>(heard: string[] = []) {
  const database = await createTestDatabase();
  const engine = createEngine({
    ...{ url: database.url, dataDir: '.', synchronous: 'FULL' },
    listeners: new Set([(q: string) => heard.push(q)]),
    ...DEFAULTS,
  });
  const db = new Kysely<T>({ dialect: engine.dialect });
  return {
    db,
    engine,
    async close() {
      await db.destroy();
      await database.drop();
    },
  };
}

dialectContract('SQLite', { open: () => openSqlite(), bytesType: 'blob' });
dialectContract('Postgres', { open: () => openPostgres(), bytesType: 'bytea' });

describe('createEngine for SQLite', () => {
  const ends: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });

  it.each(['FULL', 'NORMAL'] as const)('writes ahead and syncs as asked: %s', async (synchronous) => {
    const { db, close } = await openSqlite(synchronous);
    ends.push(close);
    const pragma = async (name: string) => (await sql.raw<object>(`pragma ${name}`).execute(db)).rows[0];
    expect(await pragma('journal_mode')).toEqual({ journal_mode: 'wal' });
    expect(await pragma('synchronous')).toEqual({ synchronous: synchronous === 'FULL' ? 2 : 1 });
    expect(await pragma('foreign_keys')).toEqual({ foreign_keys: 1 });
  });

  it('relaxes the sync for one transaction only, also when that fails', async () => {
    const { db, engine, close } = await openSqlite('FULL');
    ends.push(close);
    const level = async (on: typeof db) =>
      (await sql<{ synchronous: number }>`pragma synchronous`.execute(on)).rows[0]?.synchronous;
    const inside = engine.relaxed(db, level);
    const after = db.transaction().execute(level);
    expect(await inside).toBe(1);
    expect(await after).toBe(2);
    await sql`create table t (n integer)`.execute(db);
    const failing = engine.relaxed(db, async (tx) => {
      await sql`insert into t values (${1})`.execute(tx);
      throw new Error('undo');
    });
    await expect(failing).rejects.toThrow('undo');
    expect(await level(db)).toBe(2);
    expect((await sql`select n from t`.execute(db)).rows).toEqual([]);
    expect(
      await engine.relaxed(
        db,
        async (tx) => (await sql`insert into t values (${1})`.execute(tx)).numAffectedRows,
      ),
    ).toBe(1n);
    expect((await sql`select n from t`.execute(db)).rows).toEqual([{ n: 1 }]);
  });

  it('syncs again what is written outside a transaction after a relaxed one', async () => {
    const { db, engine, close } = await openSqlite('FULL');
    ends.push(close);
    await sql`create table t (n integer)`.execute(db);
    // As the connection has it: unlike the pragma, a select leaves it alone.
    const level = async () =>
      (await sql<{ synchronous: number }>`select synchronous from pragma_synchronous`.execute(db)).rows[0]
        ?.synchronous;
    const write = (on: typeof db) => sql`insert into t values (${1})`.execute(on);
    await engine.relaxed(db, write);
    expect(await level()).toBe(1);
    await write(db);
    expect(await level()).toBe(2);
    await engine.relaxed(db, write);
    await db.transaction().execute(write);
    expect(await level()).toBe(2);
  });

  it('tells the text of every statement but those around a transaction', async () => {
    const heard: string[] = [];
    const { db, close } = await openSqlite('NORMAL', heard);
    ends.push(close);
    await db.transaction().execute((tx) => sql`select ${1} as one`.execute(tx));
    expect(heard).toEqual(['select ? as one']);
  });

  it('answers rightly when far more different statements come than it keeps', async () => {
    const { db, close } = await openSqlite();
    ends.push(close);
    for (let round = 0; round < 2; round++) {
      for (let n = 0; n < 400; n++) {
        const { rows } = await sql<{ n: number }>`select ${1} + ${sql.lit(n)} as n`.execute(db);
        expect(rows).toEqual([{ n: n + 1 }]);
      }
    }
  });

  it.each([
    ['mysql://user:hunter2@db/fleet', /scheme "mysql"/],
    ['hunter2', /unknown scheme/],
  ])('refuses a database it cannot serve, without repeating the URL', (url, message) => {
    const create = () =>
      createEngine({ url, dataDir: '.', synchronous: 'FULL', listeners: new Set(), ...DEFAULTS });
    expect(create).toThrow(message);
    expect(create).not.toThrow(/hunter2/);
  });
});

describe('createEngine for Postgres', () => {
  let opened: Awaited<ReturnType<typeof openPostgres>>;
  const heard: string[] = [];
  beforeAll(async () => {
    opened = await openPostgres(heard);
  });
  afterAll(() => opened.close());

  it('relaxes the sync for one transaction only, also when that fails', async () => {
    const { db, engine } = opened;
    const level = async (on: typeof db) =>
      (await sql<{ synchronous_commit: string }>`show synchronous_commit`.execute(on)).rows[0]
        ?.synchronous_commit;
    // one connection, so that what a transaction left on it would be seen
    await db.connection().execute(async (held) => {
      const usual = await level(held);
      expect(usual).not.toBe('off');
      expect(await engine.relaxed(held, level)).toBe('off');
      expect(await level(held)).toBe(usual);
      const failing = engine.relaxed(held, async () => {
        throw new Error('undo');
      });
      await expect(failing).rejects.toThrow('undo');
      expect(await held.transaction().execute(level)).toBe(usual);
    });
  });

  it('gives a change of tables more time than a query, since others may be waiting behind a query', async () => {
    const limit = async (dialect: Dialect | null) => {
      if (!dialect) throw new Error('Postgres has no such connections');
      const other = new Kysely({ dialect });
      const shown = await sql<{ statement_timeout: string }>`show statement_timeout`.execute(other);
      await other.destroy();
      return shown.rows[0]?.statement_timeout;
    };
    const { engine } = opened;
    expect(await limit(engine.vital)).toBe('15s');
    expect(await limit(engine.patient)).toBe('10min');
  });

  it('tells the text of every statement but those around a transaction', async () => {
    const { db } = opened;
    heard.length = 0;
    await db.transaction().execute((tx) => sql`select ${1} + 1 as two`.execute(tx));
    expect(heard).toEqual(['select $1 + 1 as two']);
  });
});
