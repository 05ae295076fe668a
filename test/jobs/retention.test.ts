import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fault } from '../../src/domain/fault.ts';
import { createRetention, type Retention } from '../../src/jobs/retention.ts';
import { createLogger } from '../../src/lib/logger.ts';
import type { RemoveResult } from '../../src/storage/blob-store.ts';
import { droppedBlobs } from '../../src/store/blobs.ts';
import { findJob } from '../../src/store/jobs.ts';
import { findUpload, insertUpload } from '../../src/store/uploads.ts';
import { eventually } from '../support/eventually.ts';
import { newJob } from '../support/new-job.ts';
import { ENGINES } from '../support/temp-store.ts';
import { alice, type Bench, bob, imageOutput, openBench } from './recorder-bench.ts';

const DAY = 86_400_000;

/** Files by name, removed as the real store does it: only when the question is answered with yes. */
class Files {
  readonly left: Set<string>;
  inUse = new Set<string>();
  broken = false;

  constructor(names: string[]) {
    this.left = new Set(names);
  }

  remove = async (
    tenant: string,
    sha256: string,
    unreferenced: () => Promise<boolean>,
  ): Promise<RemoveResult> => {
    const name = `${tenant}/${sha256}`;
    if (this.broken) throw new Error('the disk refuses');
    if (this.inUse.has(name)) return 'in-use';
    if (!this.left.has(name)) return 'absent';
    if (!(await unreferenced())) return 'referenced';
    this.left.delete(name);
    return 'removed';
  };

  /** Orphans have a test of their own. */
  list = async () => [];
  sweepStaging = async () => 0;
}

let bench: Bench;
let files: Files;
let retention: Retention;

describe.each(ENGINES)('on %s', (engine) => {
  beforeEach(async () => {
    bench = await openBench(engine);
    files = new Files(['a/own', 'a/shared', 'a/input', 'a/upload', 'b/own', 'b/shared']);
    retention = createRetention({
      store: bench.store,
      recorder: bench.recorder,
      storage: files,
      clock: bench.clock,
      logger: createLogger('silent'),
      retentionMs: DAY,
      intervalMs: 3_600_000,
    });
  });
  afterEach(async () => {
    await retention.stop();
    await bench.close();
  });

  const exists = async (id: string) => (await findJob(bench.store.db, 'any', id)) !== null;

  async function uploaded(id: string, sha256: string): Promise<void> {
    await insertUpload(bench.store.db, {
      id,
      tenant: 'a',
      user: 'alice',
      filename: 'cat.png',
      mimeType: 'image/png',
      width: 1,
      height: 1,
      bytes: 10,
      sha256,
      createdAt: bench.clock.now(),
    });
  }

  describe('the rounds of retention', () => {
    it('are for one process of the fleet: the others do nothing by themselves, and all of it when asked', async () => {
      let leads = false;
      const own = createRetention({
        store: bench.store,
        recorder: bench.recorder,
        storage: files,
        clock: bench.clock,
        logger: createLogger('silent'),
        retentionMs: DAY,
        intervalMs: 3_600_000,
        mayRun: () => leads,
      });
      const first = await bench.completed();
      await own.start();
      await bench.clock.advance(DAY + 3_600_000);
      expect(await exists(first.jobId)).toBe(true);
      expect(await own.deleteJob(alice, first.jobId)).toMatchObject({ kind: 'removed' });
      const second = await bench.completed();
      leads = true;
      await bench.clock.advance(DAY);
      await eventually(async () => {
        await bench.clock.advance(3_600_000);
        return !(await exists(second.jobId));
      });
      await own.stop();
    });
  });

  describe('many old jobs', () => {
    const canceled = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n++) await bench.recorder.cancel(alice, await bench.waiting());
      await bench.clock.advance(DAY + 1);
    };
    const left = async (): Promise<number> =>
      (await bench.store.db.selectFrom('jobs').select('id').execute()).length;
    /** Takes 5 ms for each batch, and notes how many were in it. */
    const slow = (batches: number[], after: () => void = () => undefined): Retention =>
      createRetention({
        store: bench.store,
        recorder: {
          remove: bench.recorder.remove,
          async removeSeveral(...asked) {
            const removed = await bench.recorder.removeSeveral(...asked);
            await bench.clock.advance(5);
            batches.push(removed);
            after();
            return removed;
          },
        },
        storage: files,
        clock: bench.clock,
        logger: createLogger('silent'),
        retentionMs: DAY,
        intervalMs: 3_600_000,
      });

    it('go a few at a time, and the others get four times as long as each batch took', async () => {
      await canceled(120);
      const batches: number[] = [];
      const round = slow(batches).round();
      const rests = () => eventually(() => bench.clock.nextDue === bench.clock.now() + 20);
      for (const done of [1, 2]) {
        await rests();
        expect(batches).toHaveLength(done);
        await bench.clock.advance(20);
      }
      await round;
      expect(batches).toEqual([50, 50, 20]);
      expect(await left()).toBe(0);
    });

    it('are left from the moment on at which this process may go on no longer', async () => {
      await canceled(120);
      const batches: number[] = [];
      const halt = { aborted: false };
      const round = slow(batches, () => {
        halt.aborted = true;
      }).round(halt);
      await eventually(() => bench.clock.nextDue !== undefined);
      await bench.clock.advance(20);
      await round;
      expect(await left()).toBe(70);
    });
  });

  describe('retention.cleanUp', () => {
    it('deletes what ended before the retention and leaves what is younger, waits or runs', async () => {
      const old = await bench.completed();
      const waiting = await bench.waiting();
      const running = await bench.started(1);
      await bench.clock.advance(DAY);
      const young = await bench.completed();
      expect(await retention.cleanUp('any')).toBe(0);
      await bench.clock.advance(1);
      expect(await retention.cleanUp('any')).toBe(1);
      expect(await exists(old.jobId)).toBe(false);
      for (const id of [waiting, running.jobId, young.jobId]) expect(await exists(id)).toBe(true);
    });

    it('deletes exactly the files that nothing names any more', async () => {
      const first = await bench.completed([imageOutput('own'), imageOutput('shared', 1)], {
        files: [{ sha256: 'input' }, { sha256: 'upload' }],
      });
      await uploaded('u1', 'upload');
      await bench.clock.advance(10);
      const second = await bench.completed([imageOutput('shared')]);
      expect(await retention.cleanUp(alice, { olderThan: bench.clock.now() })).toBe(1);
      expect([...files.left].sort()).toEqual(['a/shared', 'a/upload', 'b/own', 'b/shared']);
      expect(await exists(first.jobId)).toBe(false);
      await retention.deleteJob(alice, second.jobId);
      expect([...files.left].sort()).toEqual(['a/upload', 'b/own', 'b/shared']);
      expect(await droppedBlobs(bench.store.db, 10)).toEqual([]);
    });

    it('deletes only the statuses asked for, and only of the viewer', async () => {
      const completed = await bench.completed();
      const canceled = await bench.waiting();
      await bench.recorder.cancel(alice, canceled);
      await bench.recorder.queue(bob, newJob('of-bob'));
      await bench.recorder.cancel(bob, 'of-bob');
      await bench.clock.advance(1);
      const olderThan = bench.clock.now();
      expect(await retention.cleanUp(alice, { olderThan, statuses: ['PENDING', 'PROCESSING'] })).toBe(0);
      expect(await retention.cleanUp(alice, { olderThan, statuses: ['CANCELED', 'PENDING'] })).toBe(1);
      expect(await exists(canceled)).toBe(false);
      expect(await exists(completed.jobId)).toBe(true);
      expect(await exists('of-bob')).toBe(true);
    });

    it('gets through more jobs than one batch', async () => {
      for (let n = 0; n < 230; n++) await bench.recorder.cancel(alice, await bench.waiting());
      await bench.clock.advance(1);
      expect(await retention.cleanUp(alice, { olderThan: bench.clock.now() })).toBe(230);
    });

    it('keeps a file that is in use, or that the disk will not remove, noted for the next time', async () => {
      const { jobId } = await bench.completed([imageOutput('own')]);
      files.broken = true;
      expect(await retention.deleteJob(alice, jobId)).toMatchObject({ kind: 'removed' });
      files.broken = false;
      files.inUse.add('a/own');
      await retention.cleanUp(alice);
      expect(files.left).toContain('a/own');
      files.inUse.clear();
      await retention.cleanUp(alice);
      expect(files.left).not.toContain('a/own');
    });
  });

  describe('retention.deleteJob', () => {
    it('deletes nothing of a job that runs or is of another tenant', async () => {
      const { jobId } = await bench.started();
      expect(await retention.deleteJob(alice, jobId)).toMatchObject({ kind: 'active' });
      expect(await retention.deleteJob(bob, jobId)).toEqual({ kind: 'not-found' });
      expect(await exists(jobId)).toBe(true);
    });
  });

  describe('retention.round', () => {
    it('deletes old uploads that no job takes, with their files', async () => {
      await uploaded('taken', 'input');
      await uploaded('unused', 'upload');
      await bench.waiting({ files: [{ sha256: 'input' }] });
      await bench.clock.advance(DAY + 1);
      await uploaded('young', 'own');
      await retention.round();
      expect(await findUpload(bench.store.db, alice, 'unused')).toBeNull();
      expect(await findUpload(bench.store.db, alice, 'taken')).not.toBeNull();
      expect(await findUpload(bench.store.db, alice, 'young')).not.toBeNull();
      expect([...files.left].sort()).toEqual(['a/input', 'a/own', 'a/shared', 'b/own', 'b/shared']);
    });

    it('forgets every spent idempotency key, and none that holds', async () => {
      const { db } = bench.store;
      const key = (n: number) => ({ tenant: 'a', key: `k${n}`, body_hash: 'h', job_id: 'j' });
      const spent = Array.from({ length: 230 }, (_, n) => ({ ...key(n), created_at: bench.clock.now() }));
      await db.insertInto('idempotency_keys').values(spent).execute();
      await bench.clock.advance(DAY);
      const young = { ...key(230), created_at: bench.clock.now() - DAY + 1 };
      await db.insertInto('idempotency_keys').values(young).execute();
      await retention.round();
      expect(await db.selectFrom('idempotency_keys').select('key').execute()).toEqual([{ key: 'k230' }]);
    });

    it('removes the files of withdrawn outputs', async () => {
      const { attemptId } = await bench.started();
      await bench.recorder.output(attemptId, 7, imageOutput('own'));
      await bench.recorder.lose(attemptId, 7, fault('INSTANCE_LOST'));
      await retention.round();
      expect(files.left).not.toContain('a/own');
    });

    it('runs by itself at every interval until stopped', async () => {
      const { jobId } = await bench.completed();
      await retention.start();
      const rests = () => eventually(() => bench.clock.pending === 1);
      await rests();
      await bench.clock.advance(DAY - 3_600_000);
      await rests();
      expect(await exists(jobId)).toBe(true);
      for (let hour = 0; hour < 2; hour++) {
        await bench.clock.advance(3_600_000);
        await rests();
      }
      expect(await exists(jobId)).toBe(false);
      await retention.stop();
      expect(bench.clock.pending).toBe(0);
    });
  });
});
