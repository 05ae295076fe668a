import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { takeTerm } from '../../src/store/leases.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { settingOrCreate } from '../../src/store/settings.ts';
import { openTempStore, type TempStore } from '../support/temp-store.ts';

describe('openStore on a data folder', () => {
  let dataDir: string;
  const opened: Store[] = [];
  const open = async (): Promise<Store> => {
    const store = await openStore({ dataDir, logger: createLogger('silent') });
    opened.push(store);
    return store;
  };

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-open-'));
  });
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('keeps what was written when it is opened again', async () => {
    const first = await open();
    expect(await settingOrCreate(first.db, 'key', () => 'made once')).toBe('made once');
    await first.stop();
    const second = await open();
    expect(await settingOrCreate(second.db, 'key', () => 'made twice')).toBe('made once');
  });

  it('opens a folder once at a time, and again after stop', async () => {
    const first = await open();
    await expect(open()).rejects.toThrow('in use by process');
    await first.stop();
    await first.stop();
    expect(await (await open()).healthy()).toBe(true);
  });

  it('is healthy while it is open', async () => {
    const store = await open();
    await store.start();
    expect(await store.healthy()).toBe(true);
    await store.stop();
    expect(await store.healthy()).toBe(false);
  });

  it('leaves the folder free when the URL is not served', async () => {
    const logger = createLogger('silent');
    await expect(openStore({ dataDir, logger, url: 'mysql://h/d' })).rejects.toThrow('mysql');
    expect(await (await open()).healthy()).toBe(true);
  });

  it('frees a lease that a killed process left, with a greater term', async () => {
    const first = await open();
    const term = await takeTerm(first.db, 'scheduler', 'a', 1_000, 60_000);
    await first.stop();
    const second = await open();
    expect(await takeTerm(second.db, 'scheduler', 'b', 2_000, 60_000)).toBe((term ?? 0) + 1);
  });

  it('tells listeners of statements until they stop listening', async () => {
    const store = await open();
    let heard = 0;
    const stop = store.onQuery(() => {
      heard += 1;
    });
    await store.healthy();
    stop();
    await store.healthy();
    expect(heard).toBe(1);
  });
});

describe('openStore on a database that processes share', () => {
  let temp: TempStore;
  beforeEach(async () => {
    temp = await openTempStore('Postgres');
  });
  afterEach(() => temp.close());

  it('opens it for several at once, who see what the others wrote', async () => {
    const other = await temp.openAnother();
    expect(await settingOrCreate(temp.store.db, 'key', () => 'made once')).toBe('made once');
    expect(await settingOrCreate(other.db, 'key', () => 'made twice')).toBe('made once');
    await temp.store.stop();
    expect(await other.healthy()).toBe(true);
  });

  it('leaves the lease to whoever has it', async () => {
    await takeTerm(temp.store.db, 'scheduler', 'a', 0, 60_000);
    const other = await temp.openAnother();
    expect(await takeTerm(other.db, 'scheduler', 'b', 0, 60_000)).toBeNull();
  });

  it('makes a setting once for all processes that ask at once', async () => {
    const other = await temp.openAnother();
    let made = 0;
    const ask = (n: number) => settingOrCreate((n % 2 ? other : temp.store).db, 'key', () => `v${made++}`);
    const values = await Promise.all(Array.from({ length: 30 }, (_, n) => ask(n)));
    expect(new Set(values).size).toBe(1);
    expect(made).toBeGreaterThan(1);
  });
});
