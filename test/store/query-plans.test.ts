/** What is asked all the time goes through an index, however many jobs have ended. */
import { CompiledQuery, Kysely, type RawBuilder, sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reachedLimit } from '../../src/jobs/insert-job.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { openAttempts } from '../../src/store/attempts.ts';
import { createEngine } from '../../src/store/dialect.ts';
import { failedJobs } from '../../src/store/failed-jobs.ts';
import { openAttemptCounts } from '../../src/store/instance-load.ts';
import { endedSince, waitingSince } from '../../src/store/job-changes.ts';
import { eventsAfterEach } from '../../src/store/job-events.ts';
import {
  endedBefore,
  findJobs,
  pageJobs,
  pendingJobs,
  queueCounts,
  queuePositions,
} from '../../src/store/jobs.ts';
import type { Db } from '../../src/store/open.ts';
import { faultToColumns } from '../../src/store/rows.ts';
import { meanRunMs, recentRuns } from '../../src/store/run-times.ts';
import type { AttemptsTable, Tables } from '../../src/store/schema.ts';
import { waitingSummary } from '../../src/store/waiting-summary.ts';
import { jobRow, putJob } from '../support/job-rows.ts';
import { ENGINES, openTempStore, type TempStore } from '../support/temp-store.ts';

const viewer = { tenant: 'a', user: null };
const ENDED = 20_000;

const ATTEMPT: AttemptsTable = {
  ...{
    id: '',
    job_id: '',
    tenant: 'a',
    number: 1,
    instance_id: 'i1',
    instance_name: 'gpu-1',
    slot: 0,
    term: 1,
  },
  ...{ state: 'SUCCEEDED', outcome: 'SUCCEEDED', charged: 1, deadline_at: 1, started_at: 1 },
  ...{ running_at: null, finished_at: 1, run_ms: null, workflow: null, ...faultToColumns(null) },
};

/** How each engine says so. */
const SAYS = {
  SQLite: {
    explain: 'explain query plan',
    through: (index: string) => new RegExp(`USING (COVERING )?INDEX ${index}`),
    sorts: /TEMP B-TREE/,
    readsAll: /SCAN \w+$/m,
  },
  Postgres: {
    explain: 'explain',
    through: (index: string) => new RegExp(`(using|Bitmap Index Scan on) ${index}`),
    sorts: /Sort/,
    readsAll: /Seq Scan/,
  },
} as const;

describe.each(ENGINES)('on %s', (engine) => {
  const says = SAYS[engine];
  let temp: TempStore;
  /** Hears its queries with their values. */
  let db: Db;
  let heard: CompiledQuery[] = [];

  beforeAll(async () => {
    temp = await openTempStore(engine);
    const { dialect } = createEngine({
      ...{ url: temp.url, dataDir: temp.dataDir, synchronous: 'NORMAL', poolMax: 1 },
      ...{ listeners: new Set(), logger: createLogger('silent') },
    });
    db = new Kysely<Tables>({ dialect, log: ({ query }) => void heard.push(query) });
    await putEnded();
    await putJob(db, { id: 'waits' });
    await putJob(db, { id: 'runs', status: 'PROCESSING' });
    if (engine === 'Postgres') await sql`analyze`.execute(db);
  });
  afterAll(async () => {
    await db.destroy();
    await temp.close();
  });

  /** Ended jobs, each with its attempt. */
  async function putEnded(): Promise<void> {
    await fill('jobs', jobRow({ id: '', status: 'COMPLETED', finishedAt: 1, runMs: 5 }), {
      id: sql`'ended-' || n`,
      created_at: sql`n`,
      finished_at: sql`n`,
    });
    const event = { job_id: '', tenant: 'a', seq: 0, type: 'queued', at: 1, data: '{}' };
    for (const seq of [1, 2]) await fill('job_events', { ...event, seq }, { job_id: sql`'ended-' || n` });
    await fill('attempts', ATTEMPT, { id: sql`'attempt-' || n`, job_id: sql`'ended-' || n` });
  }

  /** So many rows alike, but for what is written with their serial `n`. */
  async function fill(table: string, row: object, each: Record<string, RawBuilder<unknown>>): Promise<void> {
    const columns = Object.entries(row);
    await sql`with recursive serial(n) as (select 1 union all select n + 1 from serial where n < ${sql.lit(ENDED)})
      insert into ${sql.table(table)} (${sql.join(columns.map(([name]) => sql.ref(name)))})
      select ${sql.join(columns.map(([name, value]) => each[name] ?? sql.val(value)))} from serial`.execute(
      db,
    );
  }

  async function planOf(ask: () => Promise<unknown>): Promise<string> {
    heard = [];
    await ask();
    const lines: string[] = [];
    for (const { sql: text, parameters } of [...heard]) {
      const query = CompiledQuery.raw(`${says.explain} ${text}`, [...parameters]);
      const { rows } = await db.executeQuery<object>(query);
      lines.push(...rows.map((row) => String(Object.values(row).at(-1))));
    }
    return lines.join('\n');
  }

  it.each([
    ['the newest', { first: 20 }],
    ['those after a job', { first: 20, after: { createdAt: ENDED / 2, id: 'x' } }],
    ['those before a job', { last: 20, before: { createdAt: ENDED / 2, id: 'x' } }],
  ])('a page of jobs, %s, is read without sorting', async (_which, range) => {
    const plan = await planOf(() => pageJobs(db, viewer, { filter: {}, ...range }));
    expect(plan).toMatch(says.through('jobs_newest'));
    expect(plan).not.toMatch(says.sorts);
    expect(plan).not.toMatch(says.readsAll);
  });

  it('the queue is read in its order', async () => {
    const plan = await planOf(() => pendingJobs(db, 1000));
    expect(plan).toMatch(says.through('jobs_waiting'));
    expect(plan).not.toMatch(says.sorts);
  });

  it('the queue is counted, and places in it told, without looking at what has ended', async () => {
    const counts = await planOf(() => queueCounts(db));
    expect(counts).toMatch(says.through('jobs_waiting'));
    expect(counts).toMatch(says.through('jobs_processing'));
    const places = await planOf(() => queuePositions(db, ['waits', 'runs']));
    expect(places).toMatch(says.through('jobs_waiting'));
    const ofTenant = await planOf(() => reachedLimit(db, 'a', { maxQueued: null, maxQueuedOfTenant: 10 }));
    expect(ofTenant).toMatch(says.through('jobs_waiting'));
    const summary = await planOf(() => waitingSummary(db, 100));
    expect(summary).toMatch(says.through('jobs_waiting'));
    for (const plan of [counts, places, ofTenant, summary])
      expect(plan).not.toMatch(/(Seq Scan on|SCAN) jobs$/m);
  });

  it('what changed lately is read without looking at the rest', async () => {
    const waiting = await planOf(() => waitingSince(db, 'any', {}, { at: 5, id: '' }, 100));
    expect(waiting).toMatch(says.through('jobs_waiting'));
    const ended = await planOf(() => endedSince(db, 'any', {}, { at: ENDED - 10, id: '' }, 100));
    expect(ended).toMatch(says.through('jobs_ended'));
  });

  it('the jobs that ended first, and those that ended last, are found through when they ended', async () => {
    const oldest = await planOf(() =>
      endedBefore(db, 'any', { before: 100, statuses: ['COMPLETED', 'FAILED'] }, 100),
    );
    expect(oldest).toMatch(says.through('jobs_ended'));
    expect(await planOf(() => meanRunMs(db))).toMatch(says.through('jobs_ended'));
  });

  it('the newest failures are found through when jobs failed, without sorting, however many ended well', async () => {
    const plan = await planOf(() => failedJobs(db, viewer, { from: 1, to: ENDED, limit: 10 }));
    expect(plan).toMatch(/jobs_failed/);
    expect(plan).not.toMatch(says.sorts);
    expect(plan).not.toMatch(says.readsAll);
  });

  it('the newest runs are found by the ids of attempts, which sort by age, without sorting or reading all', async () => {
    const plan = await planOf(() => recentRuns(db, 100));
    if (engine === 'Postgres') expect(plan).toMatch(/Index Scan Backward using attempts_pkey/);
    else expect(plan).toMatch(/SCAN attempts USING INDEX sqlite_autoindex_attempts_1/);
    expect(plan).not.toMatch(says.sorts);
    expect(plan).not.toMatch(says.readsAll);
  });

  it('many jobs are found by their ids at once', async () => {
    const ids = Array.from({ length: 100 }, (_, n) => `ended-${n}`);
    const plan = await planOf(() => findJobs(db, 'any', ids));
    expect(plan).toMatch(says.through(engine === 'SQLite' ? 'sqlite_autoindex_jobs_1' : 'jobs_pkey'));
    expect(plan).not.toMatch(says.readsAll);
  });

  it('events after a number of many jobs each are found through their numbers, without looking at the rest', async () => {
    // of a small table, Postgres rightly reads all for the sake of hundreds
    for (const size of [1, 40]) {
      const cursors = Array.from({ length: size }, (_, n) => ({ jobId: `ended-${n}`, after: 1 }));
      const plan = await planOf(() => eventsAfterEach(db, viewer, cursors, 200));
      expect(plan).toMatch(
        says.through(engine === 'SQLite' ? 'sqlite_autoindex_job_events_1' : 'job_events_pk'),
      );
      expect(plan).not.toMatch(/(Seq Scan on|SCAN) job_events/);
    }
  });

  it('the attempts that are open are found without looking at those that ended', async () => {
    const open = await planOf(() => openAttempts(db));
    const counts = await planOf(() => openAttemptCounts(db, ['i1', 'i2']));
    for (const plan of [open, counts]) expect(plan).toMatch(says.through('attempts_open_(slot|job)'));
  });
});
