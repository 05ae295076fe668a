/** What the rollups do not hold: how far they are, the usage of each day, the newest failures. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { noteFailures, readFailures } from '../../src/store/metric-failures.ts';
import { persistedAt, savePersistedAt } from '../../src/store/metric-progress.ts';
import { addUsage, readUsage } from '../../src/store/metric-usage.ts';
import type { Db } from '../../src/store/open.ts';
import { ENGINES, openTempStore, type TempStore } from '../support/temp-store.ts';

const DAY = 86_400_000;

describe.each(ENGINES)('on %s', (engine) => {
  let temp: TempStore;
  let db: Db;
  beforeEach(async () => {
    temp = await openTempStore(engine);
    db = temp.store.db;
  });
  afterEach(() => temp.close());

  it('the progress is null before there is any, then the newest told', async () => {
    expect(await persistedAt(db)).toBeNull();
    await savePersistedAt(db, 1_700_000_000_000);
    await savePersistedAt(db, 1_700_000_001_234);
    expect(await persistedAt(db)).toBe(1_700_000_001_234);
  });

  it('usage adds up, and is read by day in order', async () => {
    const row = { day: DAY, tenant: 't', workflow: 'w', jobs: 1, gpu_ms: 5_000_000_000, counted_gpu_ms: 3 };
    const many = Array.from({ length: 250 }, (_, n) => ({
      ...{ day: 5 * DAY, tenant: 't', workflow: `w${n}`, jobs: 0, gpu_ms: 1, counted_gpu_ms: 0 },
    }));
    await addUsage(db, []);
    await addUsage(db, [{ ...row, day: 2 * DAY }, row, ...many]);
    await addUsage(db, [row, { ...row, tenant: 'a' }]);
    const twice = { ...row, jobs: 2, gpu_ms: 10_000_000_000, counted_gpu_ms: 6 };
    expect(await readUsage(db, DAY, 3 * DAY, 1000)).toEqual([
      { ...row, tenant: 'a' },
      twice,
      { ...row, day: 2 * DAY },
    ]);
    expect(await readUsage(db, 2 * DAY, 2 * DAY, 1000)).toEqual([]);
    expect(await readUsage(db, 5 * DAY, 6 * DAY, 1000)).toHaveLength(250);
    expect(await readUsage(db, 5 * DAY, 6 * DAY, 10)).toHaveLength(10);
  });

  it('of failures the newest stays, in whichever order they come', async () => {
    const row = { code: 'OUT_OF_MEMORY', instance: 'i', workflow: 'w', last_at: 10, last_message: 'ten' };
    const other = { ...row, instance: '', last_at: 5, last_message: 'five' };
    await noteFailures(db, []);
    await noteFailures(db, [row, other]);
    await noteFailures(db, [
      { ...row, last_at: 9, last_message: 'late' },
      { ...other, last_at: 7, last_message: 'seven' },
    ]);
    const seven = { ...other, last_at: 7, last_message: 'seven' };
    expect(await readFailures(db, 0)).toEqual([row, seven]);
    expect(await readFailures(db, 8)).toEqual([row]);
  });
});
