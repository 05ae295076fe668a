/**
 * Forgets what is old: ended jobs with their rows, uploads that no job takes, spent idempotency keys, and every file that
 * no row names any more. Runs by itself every `intervalMs`, in one process of the fleet, and on demand in any.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CrashHook } from '../domain/crash-points.ts';
import type { JobStatus } from '../domain/job.ts';
import { ENDED_JOB_STATUSES, hasEnded } from '../domain/job-states.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { Loop } from '../lib/loop.ts';
import type { Service } from '../lib/service.ts';
import type { BlobStore } from '../storage/blob-store.ts';
import { type BlobName, dropOldUploads, droppedBlobs, forgetDropped, isReferenced } from '../store/blobs.ts';
import { dropExpiredKeys } from '../store/idempotency.ts';
import { endedBefore } from '../store/jobs.ts';
import type { Store } from '../store/open.ts';
import type { Scope } from '../store/viewer-scope.ts';
import type { RemoveResult } from './job-writer.ts';
import { OrphanSweeper } from './orphan-sweeper.ts';
import type { Recorder } from './recorder.ts';

const BATCH = 100;

export interface RetentionOptions {
  readonly store: Store;
  readonly recorder: Pick<Recorder, 'remove'>;
  readonly storage: Pick<BlobStore, 'remove' | 'list' | 'sweepStaging'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Age in ms at which ended jobs and unused uploads go. */
  readonly retentionMs: number;
  /** Pause between two rounds, in ms. */
  readonly intervalMs: number;
  /** Age in ms at which a file that no row names goes; default a day. */
  readonly orphanAgeMs?: number;
  /** Asked throughout what runs by itself: this process is the one to do it. Default: it is. */
  readonly mayRun?: () => boolean;
  readonly crashAt?: CrashHook | undefined;
}

/** Says when to stop. */
export type Halt = Pick<AbortSignal, 'aborted'>;

export interface CleanUpRequest {
  /** Jobs that ended before this moment go, epoch ms; default: those older than the retention. */
  readonly olderThan?: number | undefined;
  /** Default: all ended ones. Statuses of jobs that have not ended delete nothing. */
  readonly statuses?: readonly JobStatus[] | undefined;
}

export interface Retention extends Service {
  /** Deletes ended jobs and the files that were only theirs; how many jobs went. */
  cleanUp(scope: Scope, request?: CleanUpRequest): Promise<number>;
  /** Deletes one ended job and the files that were only its own. */
  deleteJob(scope: Scope, jobId: string): Promise<RemoveResult>;
  /** One full round, as it happens every `intervalMs`. */
  round(signal?: Halt): Promise<void>;
}

export function createRetention(options: RetentionOptions): Retention {
  const { store, recorder, clock, logger, retentionMs, intervalMs, mayRun = () => true } = options;
  const { db } = store;

  const removeJobs = async (scope: Scope, request: CleanUpRequest, signal?: Halt): Promise<number> => {
    const { olderThan = clock.now() - retentionMs, statuses = ENDED_JOB_STATUSES } = request;
    const ended = statuses.filter(hasEnded);
    let removed = 0;
    for (;;) {
      const ids = await endedBefore(db, scope, olderThan, ended, BATCH);
      const before = removed;
      for (const id of ids) {
        if (signal?.aborted) return removed;
        if ((await recorder.remove(scope, id)).kind === 'removed') removed += 1;
        // The embedded database answers without leaving the turn: without this a long clean-up starves everyone.
        await nextTurn();
      }
      if (ids.length < BATCH || removed === before) return removed;
    }
  };

  const removeUploads = async (signal?: Halt): Promise<void> => {
    for (;;) {
      const at = clock.now() - retentionMs;
      const dropped = await store.transaction((tx) => dropOldUploads(tx, at, BATCH));
      await nextTurn();
      if (dropped < BATCH || signal?.aborted) return;
    }
  };

  const round = async (signal?: Halt): Promise<void> => {
    const removed = await removeJobs('any', {}, signal);
    if (removed > 0) logger.info({ jobs: removed }, 'old jobs removed');
    if (signal?.aborted) return;
    await removeUploads(signal);
    await dropExpiredKeys(db, clock.now());
    await removeFiles(options, signal);
    if (!signal?.aborted) await orphans.sweep(signal);
  };

  const orphans = new OrphanSweeper(options);
  const step = async (signal: AbortSignal): Promise<void> => {
    const halt = {
      get aborted() {
        return signal.aborted || !mayRun();
      },
    };
    if (!halt.aborted) await round(halt);
  };
  const loop = new Loop({ name: 'retention', intervalMs, step, clock, logger });
  return {
    start: () => loop.start(),
    stop: () => loop.stop(),
    round,
    async cleanUp(scope, request = {}) {
      const removed = await removeJobs(scope, request);
      await removeFiles(options);
      return removed;
    },
    async deleteJob(scope, jobId) {
      const result = await recorder.remove(scope, jobId);
      if (result.kind === 'removed') for (const blob of result.blobs) await removeFile(options, blob);
      return result;
    },
  };
}

/** Goes through all noted blobs once. */
async function removeFiles(options: RetentionOptions, signal?: Halt): Promise<void> {
  let last: BlobName | undefined;
  for (;;) {
    const blobs = await droppedBlobs(options.store.db, BATCH, last);
    for (const blob of blobs) {
      if (signal?.aborted) return;
      await removeFile(options, blob);
      await nextTurn();
    }
    last = blobs.at(-1);
    if (blobs.length < BATCH) return;
  }
}

/** A file that is in use, or that the disk refuses to remove, stays noted for the next round. */
async function removeFile(
  { store, storage, logger, crashAt }: RetentionOptions,
  blob: BlobName,
): Promise<void> {
  const { tenant, sha256 } = blob;
  try {
    const result = await storage.remove(tenant, sha256, async () => !(await isReferenced(store.db, blob)));
    if (result === 'removed') crashAt?.('clean-up:file-removed');
    if (result !== 'in-use') await forgetDropped(store.db, blob);
  } catch (error) {
    logger.warn({ err: error, tenant, sha256 }, 'a file could not be removed');
  }
}
