import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NO_LIMITS, type TenantLimits } from '../../src/domain/tenant-limits.ts';
import type { QueueResult } from '../../src/jobs/queue-writer.ts';
import type { Recorder } from '../../src/jobs/recorder.ts';
import type { Submitter } from '../../src/jobs/submit.ts';
import { pendingJobs } from '../../src/store/jobs.ts';
import { saveNeeds } from '../../src/store/needs.ts';
import { deadlocksOf } from '../support/deadlocks.ts';
import { jobRow } from '../support/job-rows.ts';
import { newJob } from '../support/new-job.ts';
import { ENGINES } from '../support/temp-store.ts';
import { othersWaitForLocks } from '../support/waiting-lock.ts';
import { alice, type Bench, bob, openBench } from './recorder-bench.ts';
import { fileOf, openRig, picture, type Rig, stranger, viewer } from './submission-rig.ts';

const queued = (results: readonly QueueResult[]): number =>
  results.filter(({ kind }) => kind === 'queued').length;

describe.each(ENGINES)('on %s, the jobs that a tenant has waiting', (engine) => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await openBench(engine);
  });
  afterEach(() => bench.close());

  it('are as many as may, exactly, of 200 that come at once', async () => {
    const limits = { maxQueued: 10_000, maxQueuedOfTenant: 50 };
    const results = await Promise.all(
      Array.from({ length: 200 }, () => bench.recorder.queue(alice, newJob(bench.ids()), undefined, limits)),
    );
    expect(queued(results)).toBe(50);
    const refused = results.filter(({ kind }) => kind === 'queue-full');
    expect(refused).toEqual(
      Array.from({ length: 150 }, () => ({ kind: 'queue-full', limit: { of: 'tenant', max: 50 } })),
    );
    expect(await pendingJobs(bench.store.db)).toHaveLength(50);
  });

  it('are counted by tenant: one that has filled its share keeps nobody else out', async () => {
    const limits = { maxQueued: 3, maxQueuedOfTenant: 2 };
    const queue = (who: typeof alice) => bench.recorder.queue(who, newJob(bench.ids()), undefined, limits);
    for (let n = 0; n < 2; n++) expect(await queue(alice)).toMatchObject({ kind: 'queued' });
    expect(await queue(alice)).toEqual({ kind: 'queue-full', limit: { of: 'tenant', max: 2 } });
    expect(await queue(bob)).toMatchObject({ kind: 'queued' });
    expect(await queue(bob)).toEqual({ kind: 'queue-full', limit: { of: 'all', max: 3 } });
  });

  it('count no more once they are canceled', async () => {
    const limits = { maxQueued: null, maxQueuedOfTenant: 1 };
    const first = await bench.waiting();
    const queue = () => bench.recorder.queue(alice, newJob(bench.ids()), undefined, limits);
    expect(await queue()).toMatchObject({ kind: 'queue-full' });
    await bench.recorder.cancel(alice, first);
    expect(await queue()).toMatchObject({ kind: 'queued' });
  });

  it('may be none', async () => {
    const limits = { maxQueued: null, maxQueuedOfTenant: 0 };
    expect(await bench.recorder.queue(alice, newJob('job'), undefined, limits)).toEqual({
      kind: 'queue-full',
      limit: { of: 'tenant', max: 0 },
    });
  });

  it('are exact far from one limit and near the other', async () => {
    const rows = Array.from({ length: 1200 }, (_, n) => jobRow({ id: `waits-${n}`, tenant: alice.tenant }));
    for (let at = 0; at < rows.length; at += 400) {
      const some = rows.slice(at, at + 400);
      await bench.store.db.insertInto('jobs').values(some).execute();
    }
    const limits = { maxQueued: 1210, maxQueuedOfTenant: 5000 };
    const results = await Promise.all(
      Array.from({ length: 30 }, () => bench.recorder.queue(alice, newJob(bench.ids()), undefined, limits)),
    );
    expect(queued(results)).toBe(10);
  });
});

describe('of several processes', () => {
  let bench: Bench;
  let recorders: readonly [Recorder, Recorder];
  beforeEach(async () => {
    bench = await openBench('Postgres');
    recorders = [bench.recorder, await bench.anotherRecorder()];
  });
  afterEach(async () => {
    await bench.close();
    expect(await deadlocksOf(bench.url)).toBe(0);
  });

  it.each([
    ['a tenant is given exactly its limit', 30, null],
    ['a tenant is given exactly its limit, and all together exactly theirs', 60, 90],
  ])('%s, of 200 that come at once', async (_title, maxQueuedOfTenant, maxQueued) => {
    const limits = { maxQueued, maxQueuedOfTenant };
    const results = await Promise.all(
      Array.from({ length: 200 }, (_, n) => {
        const recorder = recorders[n % 2 ? 0 : 1];
        return recorder.queue(n % 4 < 2 ? alice : bob, newJob(bench.ids()), undefined, limits);
      }),
    );
    expect(queued(results)).toBe(maxQueued ?? 2 * maxQueuedOfTenant);
    const rows = await pendingJobs(bench.store.db);
    const ofTenants = [alice, bob].map(({ tenant }) => rows.filter((job) => job.tenant === tenant).length);
    for (const count of ofTenants) expect(count).toBeLessThanOrEqual(maxQueuedOfTenant);
  });

  it('the limit counts those that began while there was much room', async () => {
    const { db, transaction } = bench.store;
    const limits = { maxQueued: null, maxQueuedOfTenant: 1010 };
    const queue = (recorder: Recorder, needsKey: string) =>
      recorder.queue(alice, newJob(bench.ids(), { needsKey }), undefined, limits);
    let early: Promise<QueueResult> | undefined;
    let late: Promise<QueueResult[]> | undefined;
    await transaction(async (tx) => {
      await saveNeeds(tx, 'held up', newJob('any').needs);
      // it has counted and inserted, and waits for the needs before it can commit
      early = queue(recorders[0], 'held up');
      await othersWaitForLocks(tx);
      const rows = Array.from({ length: 1008 }, (_, n) => jobRow({ id: `waits-${n}`, tenant: alice.tenant }));
      for (const some of [rows.slice(0, 504), rows.slice(504)]) {
        await db.insertInto('jobs').values(some).execute();
      }
      late = Promise.all([queue(recorders[1], 'other'), queue(recorders[1], 'other')]);
      await othersWaitForLocks(tx, 3);
    });
    expect((await early)?.kind).toBe('queued');
    expect(queued((await late) ?? [])).toBe(1);
    expect(await pendingJobs(db)).toHaveLength(1010);
  });

  it('the limit of one tenant makes no other wait', async () => {
    const limits = { maxQueued: null, maxQueuedOfTenant: 10 };
    let held: Promise<QueueResult> | undefined;
    await bench.store.transaction(async (tx) => {
      await saveNeeds(tx, 'held up', newJob('any').needs);
      held = recorders[0].queue(alice, newJob('held', { needsKey: 'held up' }), undefined, limits);
      await othersWaitForLocks(tx);
      const free = await recorders[1].queue(bob, newJob('free'), undefined, limits);
      expect(free.kind).toBe('queued');
    });
    expect((await held)?.kind).toBe('queued');
  });
});

describe.each(ENGINES)('on %s, a tenant whose jobs fill its queue', (engine) => {
  const cat = { workflow: 'generateImage', inputs: { prompt: 'a cat' } };
  const key = { idempotencyKey: 'k' };
  const full = { kind: 'queue-full', limit: { of: 'tenant', max: 2 }, retryAfterMs: 5_000 };
  let rig: Rig;
  let limits: TenantLimits;
  let submitter: Submitter;
  beforeEach(async () => {
    rig = await openRig(engine);
    limits = { ...NO_LIMITS, maxQueued: 2 };
    submitter = rig.submitterWith({
      limitsOf: (tenant) => (tenant === viewer.tenant ? limits : NO_LIMITS),
    });
  });
  afterEach(() => rig.close());

  const fill = async () => {
    const first = await submitter.submit(viewer, { ...cat, ...key });
    await submitter.submit(viewer, cat);
    return first;
  };

  it('is told so, while others submit', async () => {
    await fill();
    expect(await submitter.submit(viewer, cat)).toEqual(full);
    expect(await submitter.submit(stranger, cat)).toMatchObject({ kind: 'submitted' });
  });

  it('is told so before its pictures are taken', async () => {
    await fill();
    const image = { upload: fileOf(await picture(1)) };
    expect(await submitter.submit(viewer, { workflow: 'upscaleImage', inputs: { image } })).toEqual(full);
    expect(await rig.count('uploads')).toBe(0);
  });

  it('is answered with the job that it asks for again', async () => {
    const first = await fill();
    expect(await submitter.submit(viewer, { ...cat, ...key })).toEqual(first);
  });

  it('cannot repeat an ended job either', async () => {
    const first = await fill();
    if (first.kind !== 'submitted') throw new Error(first.kind);
    await rig.recorder.cancel(viewer, first.job.id);
    await submitter.submit(viewer, cat);
    expect(await submitter.retry(viewer, first.job.id)).toEqual(full);
  });

  it('submits again as soon as it may have more', async () => {
    await fill();
    limits = { ...NO_LIMITS, maxQueued: 3 };
    expect(await submitter.submit(viewer, cat)).toMatchObject({ kind: 'submitted' });
    expect(await submitter.submit(viewer, cat)).toEqual({ ...full, limit: { of: 'tenant', max: 3 } });
  });
});
