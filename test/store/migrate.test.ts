import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kysely, Migrator, sql } from 'kysely';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { createEngine } from '../../src/store/dialect.ts';
import { migrate } from '../../src/store/migrate.ts';
import { initial } from '../../src/store/migrations/0001-initial.ts';
import { crashes } from '../../src/store/migrations/0002-crashes.ts';
import { blobPins } from '../../src/store/migrations/0003-blob-pins.ts';
import { leaseTerms } from '../../src/store/migrations/0004-lease-terms.ts';
import { type Db, openStore, type Store } from '../../src/store/open.ts';
import type { Tables } from '../../src/store/schema.ts';
import { ENGINES } from '../support/temp-store.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';
import { othersWaitForLocks } from '../support/waiting-lock.ts';

const DEFAULTS = { poolMax: 10, logger: createLogger('silent') };

const logger = createLogger('silent');

describe('a start that ends while it makes the tables', () => {
  let dataDir: string;

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-migrate-'));
  });
  afterEach(() => rm(dataDir, { recursive: true, force: true }));

  /** Ends at the nth statement. How many it came by. */
  async function makeTables(endAt: number): Promise<number> {
    let statements = 0;
    const count = (): void => {
      statements += 1;
      if (statements >= endAt) throw new Error('the end');
    };
    const { dialect } = createEngine({
      dataDir,
      synchronous: 'NORMAL',
      listeners: new Set([count]),
      ...DEFAULTS,
    });
    const db = new Kysely<Tables>({ dialect });
    await migrate(db, logger).catch(() => undefined);
    await db.destroy();
    return statements;
  }

  it('leaves a folder that the next start can use, wherever it ended', async () => {
    const all = await makeTables(Number.POSITIVE_INFINITY);
    expect(all).toBeGreaterThan(20);
    for (let endAt = 1; endAt <= all; endAt += 3) {
      await rm(dataDir, { recursive: true, force: true });
      dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-migrate-'));
      expect(await makeTables(endAt)).toBeGreaterThanOrEqual(endAt);
      const store = await openStore({ dataDir, synchronous: 'NORMAL', logger });
      expect(await store.healthy(), `after an end at statement ${endAt}`).toBe(true);
      await store.stop();
    }
  });
});

describe.each(ENGINES)('on %s, tables of an earlier version', (engine) => {
  it('come to keep the logins of instances apart from their addresses', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-migrate-'));
    const database = engine === 'Postgres' ? await createTestDatabase() : undefined;
    onTestFinished(async () => {
      await database?.drop();
      await rm(dataDir, { recursive: true, force: true });
    });
    const { dialect } = createEngine({
      ...{ url: database?.url, dataDir, synchronous: 'NORMAL', listeners: new Set(), ...DEFAULTS },
    });
    const db = new Kysely<Tables>({ dialect });
    onTestFinished(() => db.destroy());
    const migrator = new Migrator({ db, provider: { getMigrations: async () => EARLIER } });
    const { error } = await migrator.migrateToLatest();
    if (error) throw error;
    for (const [index, url] of OLD_URLS.entries()) await insertOld(db, `i${index}`, url, index);
    await insertOld(db, 'gone', 'http://ann:old@gpu2', 1, 5);

    await migrate(db, logger);

    const rows = await db
      .selectFrom('instances')
      .select(['id', 'url', 'login', 'removed_at'])
      .orderBy('id')
      .execute();
    expect(rows).toEqual([
      { id: 'gone', url: 'http://gpu2', login: 'ann:old', removed_at: 5 },
      // the same address as i2, which is newer
      { id: 'i0', url: 'http://gpu1:8188', login: null, removed_at: 2 },
      { id: 'i1', url: 'https://gpu2/x', login: 'ann:s%2F', removed_at: null },
      { id: 'i2', url: 'http://gpu1:8188', login: 'ann:secret', removed_at: null },
    ]);
  });
});

/** By their place: ids, and when they were made. */
const OLD_URLS = ['http://gpu1:8188', 'https://ann:s%2F@gpu2/x', 'http://ann:secret@gpu1:8188'];

const EARLIER = {
  '0001-initial': initial,
  '0002-crashes': crashes,
  '0003-blob-pins': blobPins,
  '0004-lease-terms': leaseTerms,
};

async function insertOld(
  db: Db,
  id: string,
  url: string,
  created_at: number,
  removed_at: number | null = null,
): Promise<void> {
  const counts = {
    capacity: 1,
    draining: 0,
    queue_running: 0,
    queue_pending: 0,
    foreign_prompts: 0,
  } as const;
  const state = { origin: 'config', health: 'UNKNOWN', breaker: 'CLOSED' } as const;
  const times = { created_at, updated_at: created_at, removed_at };
  // a row of then: without the columns that came since
  const row = { id, name: id, url, ...counts, ...state, ...times } as Tables['instances'];
  await db.insertInto('instances').values(row).execute();
}

describe('several processes that start at once on an empty database', () => {
  let database: TestDatabase;
  const opened: Store[] = [];
  beforeEach(async () => {
    database = await createTestDatabase();
  });
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.stop();
    await database.drop();
  });

  const open = async (heard = logger): Promise<Store> => {
    const store = await openStore({ url: database.url, dataDir: '.', logger: heard });
    opened.push(store);
    return store;
  };

  it('make its tables together, each once', async () => {
    const migrated: string[] = [];
    const heard = pino({ hooks: { logMethod: ([about]) => migrated.push((about as Migrated).migration) } });
    const stores = await Promise.all(Array.from({ length: 5 }, () => open(heard)));
    for (const store of stores) expect(await store.healthy()).toBe(true);
    const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(
      stores[0]?.db as Db,
    );
    expect(rows.length).toBeGreaterThan(1);
    expect([...migrated].sort()).toEqual(rows.map((row) => row.name));
  });

  it('wait for the one that makes the tables', async () => {
    const db = new Kysely<Tables>({
      dialect: createEngine({
        ...{ url: database.url, dataDir: '.', synchronous: 'NORMAL', listeners: new Set(), ...DEFAULTS },
      }).dialect,
    });
    let opening: Promise<Store> | undefined;
    let isOpen = false;
    await db.transaction().execute(async (tx) => {
      await tx.getExecutor().adapter.acquireMigrationLock(tx, { ...LOCK });
      opening = open().finally(() => {
        isOpen = true;
      });
      await othersWaitForLocks(tx);
      expect(isOpen).toBe(false);
    });
    expect(await (await opening)?.healthy()).toBe(true);
    await db.destroy();
  });

  it('find it usable after one of them died while it made the tables', async () => {
    let statements = 0;
    const dies = (): void => {
      statements += 1;
      if (statements === 20) throw new Error('the end');
    };
    const { dialect } = createEngine({
      ...{ url: database.url, dataDir: '.', synchronous: 'NORMAL', listeners: new Set([dies]), ...DEFAULTS },
    });
    const db = new Kysely<Tables>({ dialect });
    await expect(migrate(db, logger)).rejects.toThrow('the end');
    await db.destroy();
    expect(await (await open()).healthy()).toBe(true);
  });
});

interface Migrated {
  readonly migration: string;
}

/** As the migrator names its tables; Postgres' lock needs none of it. */
const LOCK = { lockTable: 'kysely_migration_lock', lockRowId: 'migration_lock' };
