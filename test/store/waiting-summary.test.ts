import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { arrivalMark, waitingSummary } from '../../src/store/waiting-summary.ts';
import { putJob } from '../support/job-rows.ts';
import { ENGINES, openTempStore, type TempStore } from '../support/temp-store.ts';

describe.each(ENGINES)('the sum of the waiting jobs, on %s', (engine) => {
  let temp: TempStore;
  beforeEach(async () => {
    temp = await openTempStore(engine);
  });
  afterEach(() => temp.close());

  it('is of those that wait and arrived until then, and tells one from another', async () => {
    const { db } = temp.store;
    const at = 1_790_000_000_000;
    expect(await waitingSummary(db, at)).toEqual({ count: 0, marks: 0 });
    for (let n = 0; n < 3; n++) await putJob(db, { id: `w${n}`, createdAt: at + n });
    await putJob(db, { id: 'runs', status: 'PROCESSING', createdAt: at });
    const marks = arrivalMark(at) + arrivalMark(at + 1);
    expect(await waitingSummary(db, at + 1)).toEqual({ count: 2, marks });
  });
});
