import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Job, JobStatus } from '../../src/domain/job.ts';
import { type JobFilter, matches } from '../../src/domain/job-filter.ts';
import type { JsonObject } from '../../src/lib/json.ts';
import { upsertConfigured } from '../../src/store/instances.ts';
import {
  countJobs,
  findJobs,
  findPendingJobs,
  type JobCursor,
  jobStats,
  pageJobs,
  pendingJobs,
  queueCounts,
  queuePositions,
} from '../../src/store/jobs.ts';
import { putJob } from '../support/job-rows.ts';
import { ENGINES, openTempStore, type TempStore } from '../support/temp-store.ts';

let temp: TempStore;
afterEach(() => temp.close());

const viewer = { tenant: 'a', user: null };
const other = { tenant: 'b', user: null };

const cursorOf = (job: Job): JobCursor => ({ createdAt: job.createdAt, id: job.id });
const newestFirst = (a: Job, b: Job) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1);

const workflows = fc.constantFrom('w', 'upscaleImage', 'é"\'%_');
const instances = fc.constantFrom('i1', 'i2');
const statuses = fc.constantFrom<JobStatus>('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED', 'CANCELED');
const labelNames = fc.constantFrom('team', 'a b', '"', 'x'.repeat(300));
const labelValues = fc.constantFrom<JsonObject[string]>(
  'red',
  1,
  '1',
  true,
  null,
  { a: 1, b: [2] },
  { b: [2], a: 1 },
  'y'.repeat(400),
  'y'.repeat(401),
);
const labels = fc.dictionary(labelNames, labelValues, { maxKeys: 2 });
const users = fc.constantFrom('alice', 'bob');
const sample = fc.record({
  tenant: fc.constantFrom('a', 'a', 'b'),
  user: fc.option(users),
  status: statuses,
  workflow: workflows,
  instance: fc.option(instances),
  createdAt: fc.integer({ min: 0, max: 4 }),
  labels,
});
const filter: fc.Arbitrary<JobFilter> = fc.record(
  {
    status: fc.array(statuses, { maxLength: 2 }),
    workflow: fc.array(workflows, { maxLength: 2 }),
    instance: fc.array(instances, { maxLength: 2 }),
    owner: users,
    createdAfter: fc.integer({ min: 0, max: 4 }),
    createdBefore: fc.integer({ min: 0, max: 5 }),
    label: labels,
  },
  { requiredKeys: [] },
);

describe.each(ENGINES)('on %s', (engine) => {
  beforeEach(async () => {
    temp = await openTempStore(engine);
  });

  describe('pageJobs and countJobs', () => {
    it('answer a filter as `matches` does in memory, page by page from either end', async () => {
      let serial = 0;
      let nonEmpty = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(sample, { minLength: 5, maxLength: 15 }),
          fc.array(filter, { minLength: 4, maxLength: 4 }),
          fc.integer({ min: 1, max: 4 }),
          async (samples, filters, size) => {
            const { db } = temp.store;
            await db.deleteFrom('jobs').execute();
            await db.deleteFrom('job_labels').execute();
            const ids: string[] = [];
            for (const each of samples) {
              const id = `job-${String(serial++ % 7)}-${serial}`;
              ids.push(id);
              await putJob(temp.store.db, { id, ...each });
            }
            const all = await findJobs(db, 'any', ids);
            for (const wanted of [{}, ...filters]) {
              const expected = all
                .filter((job) => job.tenant === 'a' && matches(wanted, job))
                .sort(newestFirst);
              if (expected.length > 0) nonEmpty += 1;
              expect(await countJobs(db, viewer, wanted)).toBe(expected.length);
              expect(await forwards(wanted, size)).toEqual(expected);
              expect(await backwards(wanted, size)).toEqual(expected);
            }
          },
        ),
        // asking Postgres takes ten times as long
        { numRuns: engine === 'SQLite' ? 60 : 20 },
      );
      expect(nonEmpty).toBeGreaterThan(5);
    });

    async function forwards(wanted: JobFilter, size: number): Promise<Job[]> {
      const read: Job[] = [];
      let after: JobCursor | undefined;
      for (;;) {
        const page = await pageJobs(temp.store.db, viewer, { filter: wanted, first: size, after });
        expect(page.hasPrevious).toBe(after !== undefined);
        read.push(...page.jobs);
        const last = page.jobs.at(-1);
        if (!page.hasNext || !last) return read;
        after = cursorOf(last);
      }
    }

    async function backwards(wanted: JobFilter, size: number): Promise<Job[]> {
      const read: Job[] = [];
      let before: JobCursor | undefined;
      for (;;) {
        const page = await pageJobs(temp.store.db, viewer, { filter: wanted, last: size, before });
        expect(page.hasNext).toBe(before !== undefined);
        read.unshift(...page.jobs);
        const [first] = page.jobs;
        if (!page.hasPrevious || !first) return read;
        before = cursorOf(first);
      }
    }

    it('neither repeat nor hide a job while newer ones arrive and others go', async () => {
      for (let n = 0; n < 6; n++) await putJob(temp.store.db, { id: `old-${n}`, createdAt: n });
      const { db } = temp.store;
      const first = await pageJobs(db, viewer, { filter: {}, first: 2 });
      await putJob(temp.store.db, { id: 'new', createdAt: 100 });
      await db.deleteFrom('jobs').where('id', '=', 'old-4').execute();
      const [, last] = first.jobs;
      const second = await pageJobs(db, viewer, { filter: {}, first: 2, after: last && cursorOf(last) });
      expect([...first.jobs, ...second.jobs].map((job) => job.id)).toEqual([
        'old-5',
        'old-4',
        'old-3',
        'old-2',
      ]);
    });
  });

  describe('jobStats', () => {
    it('counts the jobs of the viewer by status, workflow and name of the instance', async () => {
      const { db } = temp.store;
      await upsertConfigured(db, { id: 'i1', name: 'gpu-1', url: 'http://a', capacity: 1 }, 1);
      await putJob(temp.store.db, { id: '1', status: 'COMPLETED', instance: 'i1' });
      await putJob(temp.store.db, { id: '2', status: 'FAILED', instance: 'i1', workflow: 'v' });
      await putJob(temp.store.db, { id: '3', status: 'PENDING' });
      await putJob(temp.store.db, { id: '4', tenant: 'b' });
      expect(await jobStats(db, viewer, {})).toEqual({
        total: 3,
        byStatus: expect.arrayContaining([
          { status: 'COMPLETED', count: 1 },
          { status: 'FAILED', count: 1 },
          { status: 'PENDING', count: 1 },
        ]),
        byWorkflow: [
          { name: 'w', count: 2 },
          { name: 'v', count: 1 },
        ],
        byInstance: [{ name: 'gpu-1', count: 2 }],
      });
      expect(await jobStats(db, other, { workflow: ['v'] })).toMatchObject({ total: 0, byStatus: [] });
    });
  });

  describe('the queue', () => {
    beforeEach(async () => {
      await putJob(temp.store.db, { id: 'third', priority: 5, createdAt: 2 });
      await putJob(temp.store.db, { id: 'first', priority: 10, createdAt: 3 });
      await putJob(temp.store.db, { id: 'second', priority: 5, createdAt: 1, tenant: 'b' });
      await putJob(temp.store.db, { id: 'running', priority: 10, createdAt: 0, status: 'PROCESSING' });
    });

    it('is in order of priority, then arrival', async () => {
      const ids = (await pendingJobs(temp.store.db)).map((job) => job.id);
      expect(ids).toEqual(['first', 'second', 'third']);
      expect((await pendingJobs(temp.store.db, 1)).map((job) => job.id)).toEqual(['first']);
    });

    it('says how many files each takes, and is asked for single jobs, of which only those that wait are told', async () => {
      const { db } = temp.store;
      const files = ['a', 'b'].map((sha256) => ({ job_id: 'second', tenant: 'b', sha256 }));
      await db.insertInto('job_files').values(files).execute();
      const counts = (await pendingJobs(db)).map(({ fileCount }) => fileCount);
      expect(counts).toEqual([0, 2, 0]);
      expect(await findPendingJobs(db, ['running', 'second', 'nothing'])).toEqual([
        (await pendingJobs(db))[1],
      ]);
      expect(await findPendingJobs(db, [])).toEqual([]);
    });

    it('tells the place of each waiting job among those of all tenants', async () => {
      const places = await queuePositions(temp.store.db, ['third', 'running', 'first', 'nothing']);
      expect(places).toEqual(
        new Map([
          ['first', 1],
          ['third', 3],
        ]),
      );
      expect(await queuePositions(temp.store.db, [])).toEqual(new Map());
    });

    it('is counted, with the arrival of the job that waits longest', async () => {
      expect(await queueCounts(temp.store.db)).toEqual({ pending: 3, processing: 1, oldestPendingAt: 1 });
      await temp.store.db.deleteFrom('jobs').execute();
      expect(await queueCounts(temp.store.db)).toEqual({ pending: 0, processing: 0, oldestPendingAt: null });
    });
  });
});
