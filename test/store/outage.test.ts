/** A database that goes away, hangs, comes back or runs out of connections: every query ends, and nothing is told wrongly. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { LEADER_LEASE, renewTerm, takeTerm } from '../../src/store/leases.ts';
import { type Db, openStore } from '../../src/store/open.ts';
import { storeTrouble } from '../../src/store/retryable.ts';
import { eventually } from '../support/eventually.ts';
import { openShakyStore, type ShakyOptions, type ShakyStore } from '../support/shaky-store.ts';

const opened: ShakyStore[] = [];
async function open(options: ShakyOptions = {}): Promise<ShakyStore> {
  const shaky = await openShakyStore(options);
  opened.push(shaky);
  return shaky;
}
afterEach(async () => {
  for (const shaky of opened.splice(0)) await shaky.close();
});

const put = (db: Db, name: string) => db.insertInto('settings').values({ name, value: '' }).execute();
const names = async ({ direct }: ShakyStore) =>
  (await direct<{ name: string }>('select name from settings order by name')).map(({ name }) => name);

/** Other connections to the database, which is what a store has. */
const OTHERS = 'datname = current_database() and pid <> pg_backend_pid()';
const terminateAll = ({ direct }: ShakyStore) =>
  direct(`select pg_terminate_backend(pid) from pg_stat_activity where ${OTHERS}`);
const othersGone = ({ direct }: ShakyStore) =>
  eventually(async () => (await direct(`select 1 from pg_stat_activity where ${OTHERS}`)).length === 0);

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => 'it did not fail',
    (error: unknown) => error,
  );
}
const troubleOf = async (work: Promise<unknown>) => storeTrouble(await failureOf(work));

describe('a pool whose connections are all taken', () => {
  it('refuses the next query in time, as one to try again, and serves when one comes back (F31)', async () => {
    const shaky = await open({ poolMax: 2, times: {} });
    const { store } = shaky;
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const held = [1, 2].map((n) =>
      store.transaction(async (tx) => {
        await put(tx, `held ${n}`);
        // kept busy, so that the server does not take it for one that sleeps
        for (let going = true; going; ) {
          await sql`select 1`.execute(tx);
          going = await Promise.race([
            released.then(() => false),
            new Promise<true>((r) => setImmediate(r, true)),
          ]);
        }
      }),
    );
    const third = troubleOf(put(store.db, 'third'));
    const connections = async () =>
      (await shaky.direct(`select 1 from pg_stat_activity where ${OTHERS}`)).length;
    await eventually(async () => (await connections()) === 2);
    // what keeps this process alive for others does not wait in that line
    expect(await takeTerm(store.vital, LEADER_LEASE, 'me', 0, 60_000)).toBe(1);
    expect(await renewTerm(store.vital, LEADER_LEASE, 1, 0, 60_000)).toBe(true);
    expect(await store.healthy()).toBe(true);
    expect(await third).toBe('unavailable');
    expect(await connections()).toBe(3);
    release();
    await Promise.all(held);
    await put(store.db, 'third');
    expect(await names(shaky)).toEqual(['held 1', 'held 2', 'third']);
  }, 15_000);
});

describe('a connection that breaks', () => {
  it('while it is idle, or idle within a transaction, ends no process and is never used again', async () => {
    const shaky = await open({ poolMax: 1 });
    const { store } = shaky;
    await put(store.db, 'before');
    await terminateAll(shaky);
    await othersGone(shaky);
    await eventually(() =>
      put(store.db, 'idle').then(
        () => true,
        () => false,
      ),
    );
    const failure = await failureOf(
      store.transaction(async (tx) => {
        await put(tx, 'lost');
        await terminateAll(shaky);
        await othersGone(shaky);
        await put(tx, 'lost too');
      }),
    );
    expect(storeTrouble(failure)).toBe('unavailable');
    await put(store.db, 'after');
    expect(await names(shaky)).toEqual(['after', 'before', 'idle']);
  });

  it('within a transaction: the first error is told, and its COMMIT is no success (F31)', async () => {
    const shaky = await open({ poolMax: 1 });
    const first = await failureOf(
      shaky.store.transaction(async (tx) => {
        await put(tx, 'lost');
        shaky.proxy.cut();
        await put(tx, 'lost too');
      }),
    );
    expect(storeTrouble(first)).toBe('unavailable');
    const swallowed = shaky.store.transaction(async (tx) => {
      await put(tx, 'lost');
      shaky.proxy.cut();
      await put(tx, 'lost too').catch(() => undefined);
      return 'done';
    });
    expect(await troubleOf(swallowed)).toBe('unavailable');
    await put(shaky.store.db, 'after');
    expect(await names(shaky)).toEqual(['after']);
  });

  it('is told apart from a statement that failed: a transaction that went on all the same is no success', async () => {
    const shaky = await open({ poolMax: 1 });
    const pid = async () =>
      (await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(shaky.store.db)).rows[0]?.pid;
    const before = await pid();
    const went = shaky.store.transaction(async (tx) => {
      await put(tx, 'once');
      await put(tx, 'once').catch(() => undefined);
      return 'done';
    });
    await expect(went).rejects.toThrow('undone because one of its statements had failed');
    // its connection is as good as before
    expect(await pid()).toBe(before);
    await put(shaky.store.db, 'after');
    expect(await names(shaky)).toEqual(['after']);
  });

  it('leaves what users wrote out of its errors', async () => {
    const { store } = await open();
    await put(store.db, 'a secret');
    const failure = await failureOf(put(store.db, 'a secret'));
    expect(failure).toMatchObject({ code: '23505' });
    expect(JSON.stringify(failure)).not.toContain('a secret');
  });
});

describe('a database that hangs', () => {
  it('fails queries and transactions in time, is unhealthy at once, and serves again when it is back (F31)', async () => {
    const shaky = await open();
    const { store, proxy } = shaky;
    await put(store.db, 'before');
    const frozen = (['upstream', 'downstream'] as const).map((way) =>
      proxy.add(way, { type: 'bandwidth', bytesPerSecond: 0 }),
    );
    const work = [
      troubleOf(put(store.db, 'a')),
      troubleOf(store.transaction((tx) => put(tx, 'b'))),
      troubleOf(store.transaction((tx) => put(tx, 'c'))),
    ];
    expect(await store.healthy()).toBe(false);
    expect(await Promise.all(work)).toEqual(['unavailable', 'unavailable', 'unavailable']);
    proxy.cut();
    for (const one of frozen) one.remove();
    await eventually(() => store.healthy());
    await put(store.db, 'after');
    expect(await names(shaky)).toEqual(['after', 'before']);
  }, 15_000);

  it('within a transaction does not make it wait twice', async () => {
    const { store, proxy } = await open({ times: { query_timeout: '5000' } });
    const failure = await failureOf(
      store.transaction(async (tx) => {
        await put(tx, 'a');
        proxy.add('upstream', { type: 'bandwidth', bytesPerSecond: 0 });
        await put(tx, 'b');
      }),
    );
    expect(failure).toMatchObject({ message: 'Query read timeout' });
    // the ROLLBACK would have taken as long again
  }, 9900);

  it('does not keep a store from stopping', async () => {
    const { store, proxy } = await open({ times: { query_timeout: '60000' } });
    for (const way of ['upstream', 'downstream'] as const)
      proxy.add(way, { type: 'bandwidth', bytesPerSecond: 0 });
    const stuck = failureOf(put(store.db, 'a'));
    await store.stop();
    expect(storeTrouble(await stuck)).toBe('unavailable');
    expect(await store.healthy()).toBe(false);
  }, 20_000);

  it('at a statement is told to give up, and the connection stays', async () => {
    const { store } = await open({ poolMax: 1 });
    const failure = await failureOf(sql`select pg_sleep(60)`.execute(store.db));
    expect(failure).toMatchObject({ code: '57014' });
    expect(storeTrouble(failure)).toBe('unavailable');
    await put(store.db, 'after');
  });
});

describe('a process that sleeps within a transaction', () => {
  it('loses it, and its COMMIT is no success', async () => {
    const shaky = await open({ poolMax: 1 });
    const slept = shaky.store.transaction(async (tx) => {
      await put(tx, 'a');
      await othersGone(shaky);
    });
    expect(await troubleOf(slept)).toBe('unavailable');
    expect(await names(shaky)).toEqual([]);
    await put(shaky.store.db, 'after');
  });
});

describe("two transactions in each other's way", () => {
  it('both take place: the one that was undone is done again', async () => {
    const shaky = await open({ times: {} });
    const { store } = shaky;
    for (const name of ['a', 'b']) await put(store.db, name);
    let calls = 0;
    let touched = 0;
    let bothBegun: () => void = () => undefined;
    const both = new Promise<void>((resolve) => (bothBegun = resolve));
    const touch = (tx: Db, name: string, by: string) =>
      tx
        .updateTable('settings')
        .set(({ eb }) => ({ value: eb('value', '||', by) }))
        .where('name', '=', name)
        .execute();
    const cross = (first: string, second: string, by: string) =>
      store.transaction(async (tx) => {
        calls++;
        await touch(tx, first, by);
        // each holds its first row: only then do they meet
        if (++touched === 2) bothBegun();
        await both;
        await touch(tx, second, by);
      });
    await Promise.all([cross('a', 'b', '1'), cross('b', 'a', '2')]);
    expect(calls).toBe(3);
    const rows = await shaky.direct<{ value: string }>('select value from settings');
    for (const { value } of rows) expect([...value].sort()).toEqual(['1', '2']);
  });
});

describe('a store that starts before its database', () => {
  it('waits for it', async () => {
    const shaky = await open();
    await shaky.proxy.down();
    const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-early-'));
    onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
    const lines: string[] = [];
    const logger = createLogger('warn', { write: (line: string) => void lines.push(line) });
    const opening = openStore({ url: shaky.url, dataDir, logger });
    await eventually(() => lines.some((line) => line.includes('it is waited for')));
    await shaky.proxy.up();
    const early = await opening;
    expect(await early.healthy()).toBe(true);
    await early.stop();
  });

  it('says at once that there is no such database', async () => {
    const shaky = await open();
    const url = new URL(shaky.url);
    url.pathname = '/no_such_database';
    const opening = openStore({ url: url.href, dataDir: tmpdir(), logger: createLogger('silent') });
    await expect(opening).rejects.toThrow(`the database at ${url.host} has no database of the name`);
  });
});
