/** Recorders of two processes on one database: what a guard promises must hold whoever comes between its statements. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fault } from '../../src/domain/fault.ts';
import type { QueueResult } from '../../src/jobs/queue-writer.ts';
import type { Recorder } from '../../src/jobs/recorder.ts';
import { claimOpenAttempts, openAttempts } from '../../src/store/attempts.ts';
import { dropOldUploads, droppedBlobs, isReferenced, noteDropped } from '../../src/store/blobs.ts';
import { listInstances, upsertConfigured } from '../../src/store/instances.ts';
import { saveInventory } from '../../src/store/inventories.ts';
import { eventsAfter } from '../../src/store/job-events.ts';
import { findJob, pendingJobs } from '../../src/store/jobs.ts';
import { LEADER_LEASE, releaseTerm, takeTerm } from '../../src/store/leases.ts';
import { outputsOfJobs } from '../../src/store/outputs.ts';
import type { OutputsTable } from '../../src/store/schema.ts';
import { deadlocksOf } from '../support/deadlocks.ts';
import { jobRow } from '../support/job-rows.ts';
import { nameFiles } from '../support/named-files.ts';
import { newJob } from '../support/new-job.ts';
import { othersWaitForLocks } from '../support/waiting-lock.ts';
import { alice, assignment, type Bench, imageOutput, openBench, TERM } from './recorder-bench.ts';

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

/** Each of so many calls by one process and the other in turn, all at once. */
const byBoth = <T>(calls: number, call: (recorder: Recorder, n: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: calls }, (_, n) => call(recorders[n % 2 === 0 ? 0 : 1], n)));

const kinds = (results: readonly QueueResult[], kind: QueueResult['kind']): number =>
  results.filter((result) => result.kind === kind).length;

describe('equal requests to several processes', () => {
  it('make one job, however many come at once', async () => {
    const request = { key: 'k', bodyHash: 'h' };
    const results = await byBoth(50, (recorder) => recorder.queue(alice, newJob(bench.ids()), request));
    expect(kinds(results, 'queued')).toBe(1);
    expect(kinds(results, 'existing')).toBe(49);
    const named = results.flatMap((result) => ('job' in result && result.job ? [result.job.id] : []));
    expect(new Set(named).size).toBe(1);
    expect(await pendingJobs(bench.store.db)).toHaveLength(1);
  });

  it('make one job when the first of them is undone', async () => {
    const { db, transaction } = bench.store;
    const request = { key: 'k', bodyHash: 'h' };
    let second: Promise<QueueResult> | undefined;
    const undone = transaction(async (tx) => {
      const taken = { tenant: alice.tenant, key: 'k', body_hash: 'h', job_id: 'never', created_at: 2e12 };
      await tx.insertInto('idempotency_keys').values(taken).execute();
      second = recorders[1].queue(alice, newJob('second'), request);
      await othersWaitForLocks(tx);
      throw new Error('undo');
    });
    await expect(undone).rejects.toThrow('undo');
    expect(await second).toMatchObject({ kind: 'queued', job: { id: 'second' } });
    expect(await pendingJobs(db)).toHaveLength(1);
  });
});

describe('a file that a new job takes', () => {
  const file = { sha256: 'f' };
  const blob = { tenant: alice.tenant, ...file };

  /** Removes the file's other name while the job that takes it is half queued; whether a row names it right afterwards. */
  async function removedMeanwhile(remove: () => Promise<unknown>): Promise<boolean> {
    const { db, transaction } = bench.store;
    let queued: Promise<QueueResult> | undefined;
    let named: Promise<boolean> | undefined;
    await transaction(async (tx) => {
      const needs = {
        needs_key: 'held up',
        node_types: '[]',
        models: '[]',
        blocked_by: null,
        blocked_at: null,
      };
      await tx.insertInto('needs').values(needs).execute();
      queued = recorders[0].queue(alice, newJob('new', { files: [file], needsKey: 'held up' }));
      await othersWaitForLocks(tx);
      named = remove().then(() => isReferenced(db, blob));
      await othersWaitForLocks(tx, 2);
    });
    expect(await queued).toMatchObject({ kind: 'queued' });
    return (await named) ?? false;
  }

  it('is always named by a row, though retention drops the upload it was found by', async () => {
    await nameFiles(bench.store.db, alice.tenant, [file]);
    const drop = (): Promise<number> => bench.store.transaction((tx) => dropOldUploads(tx, 2e12, 10));
    expect(await removedMeanwhile(drop)).toBe(true);
  });

  it('is always named by a row, though the job that took it first is deleted', async () => {
    const first = await bench.waiting({ files: [file] });
    await recorders[1].cancel(alice, first);
    expect(await removedMeanwhile(() => recorders[1].remove(alice, first))).toBe(true);
  });

  it('is always named by a row, though the job that made it is deleted', async () => {
    const { jobId } = await bench.completed([imageOutput(file.sha256)]);
    expect(await removedMeanwhile(() => recorders[1].remove(alice, jobId))).toBe(true);
  });
});

describe('the limit of the queue', () => {
  it('is kept exactly by several processes', async () => {
    const limits = { maxQueued: 25 };
    const results = await byBoth(60, (recorder) =>
      recorder.queue(alice, newJob(bench.ids()), undefined, limits),
    );
    expect(kinds(results, 'queued')).toBe(25);
    expect(kinds(results, 'queue-full')).toBe(35);
    expect(await pendingJobs(bench.store.db)).toHaveLength(25);
  });

  it('counts those that began while there was much room', async () => {
    const { db, transaction } = bench.store;
    const maxQueued = 1010;
    const queue = (recorder: Recorder, needsKey: string) =>
      recorder.queue(alice, newJob(bench.ids(), { needsKey }), undefined, { maxQueued });
    let early: Promise<QueueResult> | undefined;
    let late: Promise<QueueResult[]> | undefined;
    await transaction(async (tx) => {
      await tx
        .insertInto('needs')
        .values({ needs_key: 'held up', node_types: '[]', models: '[]', blocked_by: null, blocked_at: null })
        .execute();
      // it has counted and inserted, and waits for the needs before it can commit
      early = queue(recorders[0], 'held up');
      await othersWaitForLocks(tx);
      const rows = Array.from({ length: maxQueued - 2 }, (_, n) => jobRow({ id: `waits-${n}` }));
      for (let at = 0; at < rows.length; at += 500) {
        await db
          .insertInto('jobs')
          .values(rows.slice(at, at + 500))
          .execute();
      }
      late = Promise.all([queue(recorders[1], 'other'), queue(recorders[1], 'other')]);
      await othersWaitForLocks(tx, 3);
    });
    expect((await early)?.kind).toBe('queued');
    const results = (await late) ?? [];
    expect([kinds(results, 'queued'), kinds(results, 'queue-full')]).toEqual([1, 1]);
    expect(await pendingJobs(db)).toHaveLength(maxQueued);
  });

  it('does not make those wait for each other that are far from it', async () => {
    const { transaction } = bench.store;
    await transaction(async (tx) => {
      await tx
        .insertInto('needs')
        .values({ needs_key: 'held up', node_types: '[]', models: '[]', blocked_by: null, blocked_at: null })
        .execute();
      const held = recorders[0].queue(alice, newJob('held', { needsKey: 'held up' }), undefined, {
        maxQueued: 5000,
      });
      await othersWaitForLocks(tx);
      const free = await recorders[1].queue(alice, newJob('free'), undefined, { maxQueued: 5000 });
      expect(free.kind).toBe('queued');
      void held.catch(() => undefined);
    });
  });
});

describe('a new term', () => {
  const lead = async (holder: string): Promise<number> =>
    (await takeTerm(bench.store.db, LEADER_LEASE, holder, 0, 60_000)) ?? 0;

  it('waits for an attempt that the old leader is about to make, and then has it', async () => {
    const { db, transaction } = bench.store;
    const old = await lead('old');
    const jobId = await bench.waiting();
    await releaseTerm(db, LEADER_LEASE, old);
    let assigning: Promise<unknown> | undefined;
    let taking: Promise<number> | undefined;
    await transaction(async (tx) => {
      await tx.updateTable('jobs').set({ needs_key: 'same' }).where('id', '=', jobId).execute();
      // past its look at the lease, held up at the job
      assigning = recorders[0].assign(assignment(jobId, 'attempt', 0, old));
      await othersWaitForLocks(tx, 1);
      taking = lead('new');
      await othersWaitForLocks(tx, 2);
    });
    expect(await assigning).not.toBeNull();
    const term = (await taking) ?? 0;
    expect(term).toBe(old + 1);
    expect(await claimOpenAttempts(db, term)).toMatchObject([{ id: 'attempt', term }]);
    expect(await recorders[0].running('attempt', old)).toBe(false);
  });

  it('misses no attempt of the old leader, whenever it begins', async () => {
    const { db } = bench.store;
    for (let round = 0; round < 5; round++) {
      const old = await lead(`old ${round}`);
      const jobs: string[] = [];
      for (let n = 0; n < 8; n++) jobs.push(await bench.waiting());
      await releaseTerm(db, LEADER_LEASE, old);
      const assigning = byBoth(jobs.length, (recorder, n) =>
        recorder.assign({ ...assignment(jobs[n] ?? '', bench.ids(), n, old), instanceId: `i${round}` }),
      );
      const takingOver = lead(`new ${round}`).then(async (term) => {
        await claimOpenAttempts(db, term);
        return term;
      });
      const [assigned, term] = await Promise.all([assigning, takingOver]);
      const open = (await openAttempts(db)).filter((attempt) => attempt.instanceId === `i${round}`);
      expect(open).toHaveLength(assigned.filter((made) => made !== null).length);
      expect(open.every((attempt) => attempt.term === term)).toBe(true);
      for (const jobId of jobs) await recorders[0].cancel(alice, jobId);
      for (const attempt of open) await recorders[0].closeCanceled(attempt.id, term);
    }
  });
});

const OUTPUT_ROW: Omit<OutputsTable, 'job_id' | 'attempt_id' | 'tenant' | 'node' | 'ordinal'> = {
  ...{ id: 'other', kind: 'image', mime_type: 'image/png', filename: null, sha256: null, bytes: null },
  ...{ width: null, height: null, text: null, temporary: 0, created_at: 1 },
};

describe('of several processes', () => {
  it('one gives a job to an instance, and one has a slot', async () => {
    const jobId = await bench.waiting();
    const sameJob = await byBoth(20, (recorder, n) => recorder.assign(assignment(jobId, bench.ids(), n)));
    expect(sameJob.filter((made) => made !== null)).toHaveLength(1);
    const jobs: string[] = [];
    for (let n = 0; n < 20; n++) jobs.push(await bench.waiting());
    const sameSlot = await byBoth(20, (recorder, n) =>
      recorder.assign({ ...assignment(jobs[n] ?? '', bench.ids()), instanceId: 'i2' }),
    );
    expect(sameSlot.filter((made) => made !== null)).toHaveLength(1);
    expect(await openAttempts(bench.store.db)).toHaveLength(2);
  });

  it('one ends a job, whether they cancel, complete or lose it', async () => {
    const { db } = bench.store;
    const ends = new Set<string>();
    for (let round = 0; round < 15; round++) {
      const { jobId, attemptId } = await bench.started(round);
      await bench.recorder.collecting(attemptId, TERM);
      await Promise.all([
        recorders[round % 2 ? 0 : 1].complete(attemptId, TERM, 1),
        recorders[round % 2 ? 1 : 0].cancel(alice, jobId),
        recorders[0].cancel(alice, jobId),
        recorders[1].complete(attemptId, TERM, 1),
      ]);
      const job = await findJob(db, alice, jobId);
      const events = await eventsAfter(db, alice, jobId, 0, 100);
      expect(events.map((event) => event.event.type)).toEqual([
        'queued',
        'started',
        job?.status === 'CANCELED' ? 'canceled' : 'finished',
      ]);
      ends.add(job?.status ?? 'none');
      expect(job?.seq).toBe(3);
    }
    for (const end of ends) expect(['CANCELED', 'COMPLETED']).toContain(end);
  });

  it('all take in one output once', async () => {
    const { jobId, attemptId } = await bench.started();
    const outputs = await byBoth(20, (recorder) => recorder.output(attemptId, TERM, imageOutput('same')));
    expect(new Set(outputs.map((output) => output?.id)).size).toBe(1);
    expect(outputs[0]).not.toBeNull();
    expect(await eventsAfter(bench.store.db, alice, jobId, 2, 100)).toHaveLength(1);
  });

  it('none adds an output to an attempt that another ends meanwhile', async () => {
    const { db, transaction } = bench.store;
    const { jobId, attemptId } = await bench.started();
    let adding: Promise<unknown> | undefined;
    let reassigned: Promise<unknown> | undefined;
    const heldUp = transaction(async (tx) => {
      const same = { job_id: jobId, attempt_id: attemptId, tenant: 'a', node: '9', ordinal: 0 };
      await tx
        .insertInto('outputs')
        .values({ ...OUTPUT_ROW, ...same })
        .execute();
      // it has seen the attempt open, and waits to see what becomes of the other row
      adding = recorders[0].output(attemptId, TERM, imageOutput('late'));
      await othersWaitForLocks(tx, 1);
      reassigned = recorders[1]
        .lose(attemptId, TERM, fault('INSTANCE_LOST'))
        .then(() => recorders[1].assign(assignment(jobId, 'second')));
      await Promise.race([reassigned, othersWaitForLocks(tx, 2)]);
      throw new Error('undo');
    });
    await expect(heldUp).rejects.toThrow('undo');
    await Promise.all([adding, reassigned]);
    expect(await findJob(db, alice, jobId)).toMatchObject({ status: 'PROCESSING', attemptCount: 2 });
    expect(await outputsOfJobs(db, alice, [jobId])).toEqual(new Map());
  });

  it('none leaves the attempt of a job that another deletes meanwhile', async () => {
    const { db, transaction } = bench.store;
    const { jobId, attemptId } = await bench.started();
    await bench.recorder.output(attemptId, TERM, imageOutput('held'));
    await bench.recorder.cancel(alice, jobId);
    let removing: Promise<unknown> | undefined;
    let closing: Promise<unknown> | undefined;
    await transaction(async (tx) => {
      await noteDropped(tx, [{ tenant: 'a', sha256: 'held' }]);
      // all its rows are deleted, but not committed: it waits to note the file
      removing = recorders[0].remove(alice, jobId);
      await othersWaitForLocks(tx, 1);
      closing = recorders[1].closeCanceled(attemptId, TERM);
      await Promise.race([closing, othersWaitForLocks(tx, 2)]);
    });
    expect(await removing).toMatchObject({ kind: 'removed' });
    expect(await closing).toBe(true);
    expect(await db.selectFrom('attempts').select('id').execute()).toEqual([]);
  });

  it('all delete jobs that share files without standing in each other’s way', async () => {
    const { db } = bench.store;
    const shared = Array.from({ length: 40 }, (_, n) => imageOutput(`file-${n}`, n));
    const jobs: string[] = [];
    for (let n = 0; n < 6; n++) {
      // the same files, found in different orders
      const turned = n % 2 ? shared : [...shared].reverse();
      jobs.push((await bench.completed(turned)).jobId);
    }
    const removed = await byBoth(jobs.length, (recorder, n) => recorder.remove(alice, jobs[n] ?? ''));
    expect(removed.map((result) => result.kind)).toEqual(jobs.map(() => 'removed'));
    expect(await droppedBlobs(db, 100)).toHaveLength(shared.length);
  });

  it('all clean up the same jobs: each job goes once', async () => {
    const { db } = bench.store;
    const jobs: string[] = [];
    for (let n = 0; n < 12; n++) jobs.push((await bench.completed([imageOutput(`file-${n % 3}`)])).jobId);
    const removed = await byBoth(8, (recorder, n) =>
      // in different orders
      recorder.removeSeveral('any', n % 2 ? jobs : [...jobs].reverse(), 'transaction'),
    );
    const later = await bench.recorder.removeSeveral('any', jobs, 'transaction');
    expect(removed.reduce((sum, one) => sum + one, later)).toBe(jobs.length);
    expect(await db.selectFrom('jobs').select('id').execute()).toEqual([]);
  });

  it('one leaves out of several jobs what another has in hand', async () => {
    const held = await bench.completed();
    const free = await bench.completed();
    await bench.store.transaction(async (tx) => {
      await tx.selectFrom('jobs').select('id').where('id', '=', held.jobId).forUpdate().execute();
      expect(await recorders[1].removeSeveral('any', [held.jobId, free.jobId], 'transaction')).toBe(1);
    });
    expect(await recorders[1].removeSeveral('any', [held.jobId, free.jobId], 'transaction')).toBe(1);
  });

  it('all make the same class of needs and the same inventory known', async () => {
    const { db } = bench.store;
    await byBoth(20, (recorder, n) => recorder.queue(alice, newJob(`job-${n}`, { needsKey: `k${n % 3}` })));
    const keys = await db.selectFrom('needs').select('needs_key').orderBy('needs_key').execute();
    expect(keys.map((row) => row.needs_key)).toEqual(['k0', 'k1', 'k2']);
    const url = 'http://gpu:8188';
    await byBoth(10, async (_, n) => {
      const gpu = await upsertConfigured(db, { id: `i${n}`, name: 'gpu', url, capacity: 1 }, n);
      await saveInventory(db, gpu.id, 'inventory', { nodeTypes: ['A'], models: [] }, n);
    });
    expect(await listInstances(db)).toMatchObject([{ url, inventoryKey: 'inventory' }]);
  });
});
