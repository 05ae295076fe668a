import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findPendingJobs } from '../../src/store/jobs.ts';
import { findNeeds, saveNeeds } from '../../src/store/needs.ts';
import { putJob } from '../support/job-rows.ts';
import { ENGINES, openTempStore, type TempStore } from '../support/temp-store.ts';

/** More than a statement takes, with those that exist at both ends. */
const MANY = 70_000;
const keys = Array.from({ length: MANY }, (_, n) => `k${n}`);
const [first, last] = ['k0', `k${MANY - 1}`];

describe.each(ENGINES)('long lists on %s', (engine) => {
  let temp: TempStore;
  beforeAll(async () => {
    temp = await openTempStore(engine);
    for (const key of [first, last]) {
      await saveNeeds(temp.store.db, key, { nodeTypes: [key], models: [] });
      await putJob(temp.store.db, { id: key });
    }
  });
  afterAll(() => temp.close());

  it('find the needs of more classes than fit in one statement', async () => {
    const found = await findNeeds(temp.store.db, keys);
    expect([...found.keys()].sort()).toEqual([first, last].sort());
  });

  it('find more waiting jobs than fit in one statement', async () => {
    const found = await findPendingJobs(temp.store.db, keys);
    expect(found.map(({ id }) => id).sort()).toEqual([first, last].sort());
  });

  it('find nothing by an empty list', async () => {
    expect(await findPendingJobs(temp.store.db, [])).toEqual([]);
    expect((await findNeeds(temp.store.db, [])).size).toBe(0);
  });
});
