import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fault } from '../../src/domain/fault.ts';
import type { DurableEvent } from '../../src/domain/job-event.ts';
import { attemptsOfJobs, claimOpenAttempts, findAttempt, openAttempts } from '../../src/store/attempts.ts';
import { droppedBlobs } from '../../src/store/blobs.ts';
import { IDEMPOTENCY_KEY_MS } from '../../src/store/idempotency.ts';
import { eventsAfter } from '../../src/store/job-events.ts';
import { findGraph, findJob, pendingJobs } from '../../src/store/jobs.ts';
import { LEADER_LEASE, releaseTerm, takeTerm } from '../../src/store/leases.ts';
import { setBlocked } from '../../src/store/needs.ts';
import { outputsOfJobs } from '../../src/store/outputs.ts';
import { newJob } from '../support/new-job.ts';
import { ENGINES } from '../support/temp-store.ts';
import { alice, assignment, type Bench, bob, imageOutput, openBench, TERM } from './recorder-bench.ts';

let bench: Bench;
describe.each(ENGINES)('on %s', (engine) => {
  beforeEach(async () => {
    bench = await openBench(engine);
  });
  afterEach(() => bench.close());

  const RETRY = { kind: 'retry', notBefore: 5, delayMs: 5 } as const;
  const FINAL = { kind: 'final' } as const;

  async function events(jobId: string): Promise<DurableEvent[]> {
    return (await eventsAfter(bench.store.db, 'any', jobId, 0, 100)).map((row) => row.event);
  }
  const job = (id: string) => findJob(bench.store.db, 'any', id);

  describe('recorder.queue', () => {
    it('stores the job with its graph under the viewer, tells of it, and wakes the scheduler', async () => {
      const id = bench.ids();
      const result = await bench.recorder.queue(
        alice,
        newJob(id, { inputs: { prompt: 'é' }, labels: { a: 1 } }),
      );
      expect(result).toEqual({ kind: 'queued', job: await job(id) });
      expect(await job(id)).toMatchObject({
        tenant: 'a',
        user: 'alice',
        status: 'PENDING',
        seq: 1,
        inputs: { prompt: 'é' },
        labels: { a: 1 },
      });
      expect(await findJob(bench.store.db, bob, id)).toBeNull();
      expect(await findGraph(bench.store.db, id)).toEqual(newJob(id).graph);
      expect(await events(id)).toEqual([{ type: 'queued' }]);
      expect(bench.told).toMatchObject([
        {
          kind: 'job',
          jobId: id,
          tenant: 'a',
          seq: 1,
          change: { type: 'durable', event: { type: 'queued' } },
        },
        { kind: 'queue' },
        { kind: 'hint', hint: 'job-queued', jobId: id },
      ]);
    });

    it('answers equal requests with one job, however many come at once', async () => {
      const results = await Promise.all(
        Array.from({ length: 50 }, () =>
          bench.recorder.queue(alice, newJob(bench.ids()), { key: 'k', bodyHash: 'h' }),
        ),
      );
      expect(results.filter((result) => result.kind === 'queued')).toHaveLength(1);
      expect(results.filter((result) => result.kind === 'existing')).toHaveLength(49);
      const ids = results.map((result) => ('job' in result ? result.job?.id : undefined));
      expect(new Set(ids).size).toBe(1);
      expect(await pendingJobs(bench.store.db)).toHaveLength(1);
    });

    it('refuses a key with another body, naming its job, but only within the tenant', async () => {
      const first = bench.ids();
      await bench.recorder.queue(alice, newJob(first), { key: 'k', bodyHash: 'h' });
      const other = { key: 'k', bodyHash: 'other' };
      expect(await bench.recorder.queue(alice, newJob(bench.ids()), other)).toMatchObject({
        kind: 'conflict',
        job: { id: first },
      });
      expect(await bench.recorder.queue(bob, newJob(bench.ids()), other)).toMatchObject({ kind: 'queued' });
    });

    it('lets a key go after 24 hours, not a moment before', async () => {
      const request = { key: 'k', bodyHash: 'h' };
      await bench.recorder.queue(alice, newJob('first'), request);
      await bench.clock.advance(IDEMPOTENCY_KEY_MS - 1);
      expect(await bench.recorder.queue(alice, newJob('second'), request)).toMatchObject({
        kind: 'existing',
      });
      await bench.clock.advance(1);
      expect(await bench.recorder.queue(alice, newJob('third'), request)).toMatchObject({ kind: 'queued' });
      expect(await bench.recorder.queue(alice, newJob('fourth'), request)).toMatchObject({
        kind: 'existing',
        job: { id: 'third' },
      });
    });

    it('does not run a request again whose job was deleted since', async () => {
      const request = { key: 'k', bodyHash: 'h' };
      await bench.recorder.queue(alice, newJob('first'), request);
      await bench.recorder.cancel(alice, 'first');
      await bench.recorder.remove(alice, 'first');
      const again = await bench.recorder.queue(alice, newJob('second'), request);
      expect(again).toEqual({ kind: 'conflict', job: null });
    });

    it('fills the queue to the limit exactly, however many come at once', async () => {
      const limits = { maxQueued: 7 };
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          bench.recorder.queue(alice, newJob(bench.ids()), { key: `k${n}`, bodyHash: 'h' }, limits),
        ),
      );
      expect(results.filter((result) => result.kind === 'queued')).toHaveLength(7);
      expect(results.filter((result) => result.kind === 'queue-full')).toHaveLength(13);
      expect(await pendingJobs(bench.store.db)).toHaveLength(7);
    });

    it('does not keep the key of a request that found the queue full', async () => {
      const blocking = await bench.waiting();
      const request = { key: 'k', bodyHash: 'h' };
      const submit = (id: string) => bench.recorder.queue(alice, newJob(id), request, { maxQueued: 1 });
      expect(await submit('first')).toEqual({ kind: 'queue-full', limit: { of: 'all', max: 1 } });
      await bench.recorder.cancel(alice, blocking);
      expect(await submit('second')).toMatchObject({ kind: 'queued', job: { id: 'second' } });
    });

    it('keeps a job that was written even when the bus fails', async () => {
      bench.onPublish = () => {
        throw new Error('the bus is down');
      };
      const id = await bench.waiting();
      expect(await job(id)).toMatchObject({ status: 'PENDING' });
    });

    it('tells nothing of what was undone', async () => {
      const { jobId, attemptId } = await bench.started();
      const waiting = await bench.waiting();
      const before = bench.told.length;
      await bench.recorder.assign(assignment(waiting, bench.ids(), 0));
      await bench.recorder.complete(attemptId, TERM, 1);
      await bench.recorder.remove(alice, jobId);
      await bench.recorder.queue(alice, newJob(bench.ids()), undefined, { maxQueued: 1 });
      expect(bench.told).toHaveLength(before);
    });
  });

  describe('recorder, a run that goes well', () => {
    it('writes each step and numbers its events without a gap', async () => {
      const { jobId, attemptId } = await bench.started();
      expect(await bench.recorder.running(attemptId, TERM)).toBe(true);
      const output = await bench.recorder.output(attemptId, TERM, imageOutput('s1'));
      expect(await bench.recorder.collecting(attemptId, TERM)).toBe(true);
      const completed = await bench.recorder.complete(attemptId, TERM, 1234.4);
      expect(completed).toMatchObject({
        status: 'COMPLETED',
        seq: 4,
        runMs: 1234,
        attemptCount: 1,
        chargedAttempts: 1,
        instanceId: 'i1',
      });
      expect(completed).toEqual(await job(jobId));
      expect(await events(jobId)).toEqual([
        { type: 'queued' },
        { type: 'started', attemptId },
        { type: 'output', outputId: output?.id },
        { type: 'finished', status: 'COMPLETED' },
      ]);
      expect(await findAttempt(bench.store.db, attemptId)).toMatchObject({ state: 'SUCCEEDED', number: 1 });
      expect((await outputsOfJobs(bench.store.db, alice, [jobId])).get(jobId)).toEqual([output]);
      expect(await outputsOfJobs(bench.store.db, bob, [jobId])).toEqual(new Map());
      expect(await openAttempts(bench.store.db)).toEqual([]);
      expect(bench.forgotten).toEqual([jobId]);
      expect(bench.told.at(-1)).toMatchObject({ kind: 'queue' });
      const seqs = bench.told.flatMap((message) => (message.kind === 'job' ? [message.seq] : []));
      expect(seqs).toEqual([1, 2, 3, 4]);
    });

    it('takes in an output once, answering the first again', async () => {
      const { jobId, attemptId } = await bench.started();
      const first = await bench.recorder.output(attemptId, TERM, imageOutput('s1'));
      const again = await bench.recorder.output(attemptId, TERM, imageOutput('s2'));
      expect(again).toEqual(first);
      expect(await events(jobId)).toHaveLength(3);
      expect(await bench.recorder.output(attemptId, TERM, imageOutput('s2', 1))).toMatchObject({
        sha256: 's2',
      });
    });

    it('takes in nothing after the end', async () => {
      const { jobId, attemptId } = await bench.completed();
      expect(await bench.recorder.output(attemptId, TERM, imageOutput('s1'))).toBeNull();
      expect(await bench.recorder.complete(attemptId, TERM, 1)).toBeNull();
      expect(await bench.recorder.fail(attemptId, TERM, fault('TIMEOUT'), FINAL)).toBeNull();
      expect(await bench.recorder.lose(attemptId, TERM, fault('INSTANCE_LOST'))).toBeNull();
      expect(await bench.recorder.closeCanceled(attemptId, TERM)).toBe(false);
      expect(await events(jobId)).toHaveLength(3);
    });
  });

  describe('recorder.assign', () => {
    it('refuses a slot that is taken and a job that does not wait, changing nothing', async () => {
      const { jobId } = await bench.started(0);
      const other = await bench.waiting();
      expect(await bench.recorder.assign(assignment(other, bench.ids(), 0))).toBeNull();
      expect(await bench.recorder.assign(assignment(jobId, bench.ids(), 1))).toBeNull();
      expect(await job(other)).toMatchObject({ status: 'PENDING', seq: 1, attemptCount: 0 });
      expect(await bench.recorder.assign(assignment(other, bench.ids(), 1))).not.toBeNull();
    });

    it('gives a slot to one of many who want it at once', async () => {
      const ids = await Promise.all(Array.from({ length: 10 }, () => bench.waiting()));
      const results = await Promise.all(
        ids.map((id) => bench.recorder.assign(assignment(id, bench.ids(), 0))),
      );
      expect(results.filter((result) => result !== null)).toHaveLength(1);
      expect(await openAttempts(bench.store.db)).toHaveLength(1);
    });
  });

  describe('recorder, a run that goes badly', () => {
    it('puts the job back with its outputs withdrawn and the attempt charged', async () => {
      const { jobId, attemptId } = await bench.started();
      await bench.recorder.output(attemptId, TERM, imageOutput('s1'));
      const retried = await bench.recorder.fail(attemptId, TERM, fault('NODE_FAILED'), RETRY);
      expect(retried).toMatchObject({ status: 'PENDING', notBefore: 5, chargedAttempts: 1, error: null });
      expect((await events(jobId)).at(-1)).toEqual({ type: 'retried', attemptId, delayMs: 5 });
      expect(await outputsOfJobs(bench.store.db, alice, [jobId])).toEqual(new Map());
      expect(await droppedBlobs(bench.store.db, 10)).toEqual([{ tenant: 'a', sha256: 's1' }]);
      expect(bench.told.at(-1)).toEqual({ kind: 'hint', hint: 'job-queued', jobId });
      expect((await attemptsOfJobs(bench.store.db, alice, [jobId])).get(jobId)).toMatchObject([
        { state: 'FAILED', charged: true, error: { code: 'NODE_FAILED', retryable: true } },
      ]);
    });

    it('ends the job with the fault when the decision is final', async () => {
      const { jobId, attemptId } = await bench.started();
      const node = { nodeId: '3', nodeType: 'KSampler' };
      const failed = await bench.recorder.fail(attemptId, TERM, fault('NODE_FAILED', 'no', node), FINAL, 50);
      expect(failed).toMatchObject({ status: 'FAILED', runMs: 50, error: { message: 'no', ...node } });
      expect((await events(jobId)).at(-1)).toEqual({ type: 'finished', status: 'FAILED' });
    });

    it('does not charge a job that its instance forgot, and keeps its place', async () => {
      const first = await bench.started();
      await bench.clock.advance(10);
      const later = await bench.waiting();
      const lost = await bench.recorder.lose(first.attemptId, TERM, fault('INSTANCE_LOST'));
      expect(lost).toMatchObject({ status: 'PENDING', attemptCount: 1, chargedAttempts: 0 });
      expect(await findAttempt(bench.store.db, first.attemptId)).toMatchObject({
        state: 'LOST',
        charged: false,
      });
      expect((await pendingJobs(bench.store.db)).map((pending) => pending.id)).toEqual([first.jobId, later]);
      const again = await bench.recorder.assign(assignment(first.jobId, bench.ids()));
      expect(again).toMatchObject({ job: { attemptCount: 2, chargedAttempts: 1 }, attempt: { number: 2 } });
    });

    it('keeps when it first started through a retry', async () => {
      const { jobId, attemptId } = await bench.started();
      const { startedAt } = (await job(jobId)) ?? {};
      await bench.recorder.fail(attemptId, TERM, fault('TIMEOUT'), RETRY);
      await bench.clock.advance(100);
      await bench.recorder.assign(assignment(jobId, bench.ids()));
      expect((await job(jobId))?.startedAt).toBe(startedAt);
    });
  });

  describe('recorder against stale writers', () => {
    it('refuses every write of an older term once the attempts are claimed', async () => {
      const { jobId, attemptId } = await bench.started();
      const claimed = await claimOpenAttempts(bench.store.db, TERM + 1);
      expect(claimed).toMatchObject([{ id: attemptId, term: TERM + 1, jobStatus: 'PROCESSING' }]);
      const { recorder } = bench;
      expect(await recorder.running(attemptId, TERM)).toBe(false);
      expect(await recorder.collecting(attemptId, TERM)).toBe(false);
      expect(await recorder.output(attemptId, TERM, imageOutput('s'))).toBeNull();
      expect(await recorder.complete(attemptId, TERM, 1)).toBeNull();
      expect(await recorder.fail(attemptId, TERM, fault('TIMEOUT'), FINAL)).toBeNull();
      expect(await recorder.lose(attemptId, TERM, fault('INSTANCE_LOST'))).toBeNull();
      expect(await events(jobId)).toHaveLength(2);
      expect(await recorder.collecting(attemptId, TERM + 1)).toBe(true);
      expect(await recorder.complete(attemptId, TERM + 1, 1)).toMatchObject({ status: 'COMPLETED' });
    });

    it('gives an older term no attempt once a later one has begun (F38)', async () => {
      const { db } = bench.store;
      const id = await bench.waiting();
      const older = await takeTerm(db, LEADER_LEASE, 'a', 0, 60_000);
      await releaseTerm(db, LEADER_LEASE, older ?? 0);
      const newer = await takeTerm(db, LEADER_LEASE, 'b', 0, 60_000);
      expect(await bench.recorder.assign({ ...assignment(id, bench.ids()), term: older ?? 0 })).toBeNull();
      expect(await job(id)).toMatchObject({ status: 'PENDING', attemptCount: 0 });
      expect(
        await bench.recorder.assign({ ...assignment(id, bench.ids()), term: newer ?? 0 }),
      ).not.toBeNull();
    });

    it('does not let an older term claim what a newer one has', async () => {
      await bench.started();
      expect(await claimOpenAttempts(bench.store.db, TERM - 1)).toEqual([]);
    });

    it('refuses an attempt whose job is being run by a later attempt', async () => {
      const { jobId, attemptId } = await bench.started();
      await bench.recorder.lose(attemptId, TERM, fault('INSTANCE_LOST'));
      const second = bench.ids();
      await bench.recorder.assign(assignment(jobId, second));
      expect(await bench.recorder.output(attemptId, TERM, imageOutput('stale'))).toBeNull();
      expect(await bench.recorder.complete(attemptId, TERM, 1)).toBeNull();
      await bench.recorder.collecting(second, TERM);
      expect(await bench.recorder.complete(second, TERM, 1)).toMatchObject({ status: 'COMPLETED' });
    });
  });

  describe('recorder.cancel', () => {
    it('ends a waiting job at once, as its only terminal event', async () => {
      const id = await bench.waiting();
      const result = await bench.recorder.cancel(alice, id);
      expect(result).toMatchObject({ kind: 'canceled', job: { status: 'CANCELED', seq: 2 } });
      expect(await events(id)).toEqual([{ type: 'queued' }, { type: 'canceled' }]);
      expect(await bench.recorder.assign(assignment(id, bench.ids()))).toBeNull();
      expect(bench.told.at(-1)).toEqual({ kind: 'hint', hint: 'cancel-asked', jobId: id });
    });

    it.each(['SUBMITTING', 'RUNNING', 'COLLECTING'] as const)(
      'wins over a later completion while the attempt is %s',
      async (state) => {
        const { jobId, attemptId } = await bench.started();
        if (state !== 'SUBMITTING') await bench.recorder.running(attemptId, TERM);
        if (state === 'COLLECTING') await bench.recorder.collecting(attemptId, TERM);
        expect(await bench.recorder.cancel(alice, jobId)).toMatchObject({ kind: 'canceled' });
        expect(await bench.recorder.collecting(attemptId, TERM)).toBe(false);
        expect(await bench.recorder.complete(attemptId, TERM, 1)).toBeNull();
        expect(await bench.recorder.fail(attemptId, TERM, fault('INTERRUPTED'), RETRY)).toBeNull();
        expect((await events(jobId)).at(-1)).toEqual({ type: 'canceled' });
      },
    );

    it('keeps the slot until the instance is free', async () => {
      const { jobId, attemptId } = await bench.started(0);
      const next = await bench.waiting();
      await bench.recorder.cancel(alice, jobId);
      expect(await openAttempts(bench.store.db)).toMatchObject([{ id: attemptId, jobStatus: 'CANCELED' }]);
      expect(await bench.recorder.assign(assignment(next, bench.ids(), 0))).toBeNull();
      expect(await bench.recorder.closeCanceled(attemptId, TERM + 1)).toBe(false);
      expect(await bench.recorder.closeCanceled(attemptId, TERM)).toBe(true);
      expect(await findAttempt(bench.store.db, attemptId)).toMatchObject({ state: 'CANCELED' });
      expect(await bench.recorder.assign(assignment(next, bench.ids(), 0))).not.toBeNull();
    });

    it('says so when it comes twice, too late, or for nothing of the viewer', async () => {
      const waiting = await bench.waiting();
      expect(await bench.recorder.cancel(bob, waiting)).toEqual({ kind: 'not-found' });
      await bench.recorder.cancel(alice, waiting);
      expect(await bench.recorder.cancel(alice, waiting)).toMatchObject({ kind: 'already' });
      const { jobId } = await bench.completed();
      expect(await bench.recorder.cancel(alice, jobId)).toMatchObject({
        kind: 'ended',
        job: { status: 'COMPLETED' },
      });
      expect(await bench.recorder.cancel(alice, 'nothing')).toEqual({ kind: 'not-found' });
    });

    it('does not close the attempt of a job that still runs', async () => {
      const { attemptId } = await bench.started();
      expect(await bench.recorder.closeCanceled(attemptId, TERM)).toBe(false);
      expect(await findAttempt(bench.store.db, attemptId)).toMatchObject({ state: 'SUBMITTING' });
    });
  });

  describe('recorder.expire', () => {
    it('fails a job whose deadline passed while it waited, saying what for', async () => {
      const deadlineAt = bench.clock.now() + 100;
      const id = await bench.waiting({ deadlineAt });
      await setBlocked(bench.store.db, 'needs-1', 'no instance is healthy', bench.clock.now());
      expect(await bench.recorder.expire(id)).toBeNull();
      await bench.clock.advance(100);
      const expired = await bench.recorder.expire(id);
      expect(expired).toMatchObject({ status: 'FAILED', error: { code: 'DEADLINE_EXCEEDED' } });
      expect(expired?.error?.message).toMatch(/no instance is healthy$/);
      expect((await events(id)).at(-1)).toEqual({ type: 'finished', status: 'FAILED' });
    });

    it('leaves jobs that run, and jobs without a deadline', async () => {
      const { jobId } = await bench.started(0, { deadlineAt: 1 });
      const patient = await bench.waiting();
      expect(await bench.recorder.expire(jobId)).toBeNull();
      expect(await bench.recorder.expire(patient)).toBeNull();
    });
  });

  describe('recorder.remove', () => {
    it('deletes an ended job with all its rows and tells which files they named', async () => {
      const { jobId } = await bench.completed([imageOutput('s1'), imageOutput('s1', 1)], {
        files: [{ sha256: 's0' }, { sha256: 's0' }],
        labels: { a: 1 },
      });
      expect(await bench.recorder.remove(bob, jobId)).toEqual({ kind: 'not-found' });
      const removed = await bench.recorder.remove(alice, jobId);
      expect(removed).toEqual({
        kind: 'removed',
        blobs: [
          { tenant: 'a', sha256: 's1' },
          { tenant: 'a', sha256: 's0' },
        ],
      });
      const { db } = bench.store;
      for (const table of [
        'job_graphs',
        'job_events',
        'job_files',
        'job_labels',
        'outputs',
        'attempts',
      ] as const) {
        expect(await db.selectFrom(table).selectAll().execute(), table).toEqual([]);
      }
      expect(bench.told.filter((message) => message.kind === 'job').at(-1)).toMatchObject({
        jobId,
        change: { type: 'deleted' },
      });
      expect(await bench.recorder.remove(alice, jobId)).toEqual({ kind: 'not-found' });
    });

    it('deletes several at once: those that have ended and are visible, each told of, an open attempt kept', async () => {
      const done = await bench.completed([imageOutput('s1')], {
        files: [{ sha256: 's0' }],
        labels: { a: 1 },
      });
      const canceled = await bench.started(1);
      await bench.recorder.cancel(alice, canceled.jobId);
      const runs = await bench.started(2);
      const ofBob = await bench.waiting({}, bob);
      await bench.recorder.cancel(bob, ofBob);
      const asked = [runs.jobId, done.jobId, ofBob, 'nobody', canceled.jobId];
      bench.told.length = 0;
      expect(await bench.recorder.removeSeveral(alice, asked, 'relaxed')).toBe(2);
      const gone = bench.told.flatMap((told) => (told.kind === 'job' ? [told.jobId] : []));
      expect(gone.sort()).toEqual([done.jobId, canceled.jobId].sort());
      const { db } = bench.store;
      const left = await db.selectFrom('jobs').select('id').execute();
      expect(left.map(({ id }) => id).sort()).toEqual([runs.jobId, ofBob].sort());
      const open = (await openAttempts(db)).map(({ id }) => id);
      expect(open.sort()).toEqual([canceled.attemptId, runs.attemptId].sort());
      expect(await findAttempt(db, done.attemptId)).toBeNull();
      expect((await droppedBlobs(db, 10)).map(({ sha256 }) => sha256)).toEqual(['s0', 's1']);
      expect(await bench.recorder.removeSeveral('any', asked, 'transaction')).toBe(1);
    });

    it('refuses a job that waits or runs', async () => {
      const { jobId } = await bench.started();
      const waiting = await bench.waiting();
      expect(await bench.recorder.remove(alice, jobId)).toMatchObject({ kind: 'active' });
      expect(await bench.recorder.remove('any', waiting)).toMatchObject({ kind: 'active' });
      expect(await job(waiting)).not.toBeNull();
    });

    it('keeps the slot of a canceled job that its instance still runs', async () => {
      const { jobId, attemptId } = await bench.started(0);
      await bench.recorder.cancel(alice, jobId);
      expect(await bench.recorder.remove(alice, jobId)).toMatchObject({ kind: 'removed' });
      expect(await openAttempts(bench.store.db)).toMatchObject([{ id: attemptId, jobStatus: null }]);
      expect(await bench.recorder.closeCanceled(attemptId, TERM)).toBe(true);
      expect(await findAttempt(bench.store.db, attemptId)).toBeNull();
    });
  });
});
