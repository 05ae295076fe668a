import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventsAfter, eventsAfterEach } from '../../src/store/job-events.ts';
import { ENGINES, openTempStore, type TempStore } from '../support/temp-store.ts';

const alice = { tenant: 'a', user: null };
let temp: TempStore;

describe.each(ENGINES)('on %s', (engine) => {
  beforeEach(async () => {
    temp = await openTempStore(engine);
  });
  afterEach(() => temp.close());

  async function put(jobId: string, count: number, tenant = 'a'): Promise<void> {
    const rows = Array.from({ length: count }, (_, n) => ({
      ...{ job_id: jobId, tenant, seq: n + 1, type: 'queued' as const, at: n, data: '{}' },
    }));
    // last first: the order must not be an accident
    await temp.store.db.insertInto('job_events').values(rows.reverse()).execute();
  }
  const seqs = (rows: readonly { seq: number }[]) => rows.map(({ seq }) => seq);

  describe('events of many jobs after a number of each', () => {
    it('come in their order, from the number on, at most so many of each, and of one tenant', async () => {
      await put('long', 7);
      await put('short', 2);
      await put('theirs', 2, 'b');
      const cursors = [
        { jobId: 'short', after: 0 },
        { jobId: 'long', after: 0 },
        { jobId: 'long', after: 3 },
        { jobId: 'theirs', after: 0 },
        { jobId: 'long', after: 7 },
        { jobId: 'none', after: 0 },
      ];
      const found = await eventsAfterEach(temp.store.db, alice, cursors, 3);
      expect(found.map(seqs)).toEqual([[1, 2], [1, 2, 3], [4, 5, 6], [], [], []]);
      expect(found[1]?.[0]).toEqual({
        ...{ jobId: 'long', tenant: 'a', seq: 1, at: 0, event: { type: 'queued' } },
      });
      expect(seqs(await eventsAfter(temp.store.db, alice, 'long', 5, 100))).toEqual([6, 7]);
      expect(seqs(await eventsAfter(temp.store.db, 'any', 'theirs', 1, 100))).toEqual([2]);
    });

    it('cost one statement for hundreds, of few different texts', async () => {
      for (let n = 0; n < 30; n++) await put(`job-${n}`, 2);
      const texts: string[] = [];
      temp.store.onQuery((text) => texts.push(text));
      for (let size = 1; size <= 30; size++) {
        const cursors = Array.from({ length: size }, (_, n) => ({ jobId: `job-${n}`, after: 1 }));
        const found = await eventsAfterEach(temp.store.db, alice, cursors, 10);
        expect(found.map(seqs)).toEqual(cursors.map(() => [2]));
      }
      expect(texts).toHaveLength(30);
      expect(new Set(texts).size).toBeLessThanOrEqual(4);
      const many = Array.from({ length: 1000 }, (_, n) => ({ jobId: `job-${n % 30}`, after: n }));
      const found = await eventsAfterEach(temp.store.db, alice, many, 10);
      expect(found.map(seqs).slice(0, 3)).toEqual([[1, 2], [2], []]);
      expect(found.flat()).toHaveLength(3);
      expect(texts).toHaveLength(34);
      expect(await eventsAfterEach(temp.store.db, alice, [], 10)).toEqual([]);
    });
  });
});
