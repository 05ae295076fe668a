/**
 * Forgets what is old: ended jobs with their rows, uploads that no job takes, spent idempotency keys, and every file that
 * no row names any more. Runs by itself every `intervalMs`, in one process of the fleet, and on demand in any.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CrashHook } from '../domain/crash-points.ts';
import type { JobStatus } from '../domain/job.ts';
import { ENDED_JOB_STATUSES, hasEnded } from '../domain/job-states.ts';
import { type Clock, pause } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { Loop } from '../lib/loop.ts';
import type { Service } from '../lib/service.ts';
import type { BlobStore } from '../storage/blob-store.ts';
import { type BlobName, dropOldUploads, droppedBlobs, forgetDropped, isReferenced } from '../store/blobs.ts';
import { checkpoint } from '../store/engine-sql.ts';
import { dropExpiredKeys } from '../store/idempotency.ts';
import { type EndedJob, endedBefore } from '../store/jobs.ts';
import type { Store } from '../store/open.ts';
import type { Scope } from '../store/viewer-scope.ts';
import type { RemoveResult } from './job-writer.ts';
import type { How } from './job-writes.ts';
import { OrphanSweeper } from './orphan-sweeper.ts';
import type { Recorder } from './recorder.ts';

const BATCH = 100;
/** Measured on SQLite: 2 ms of the event loop. */
const JOBS_AT_ONCE = 50;
/** Measured: puts away what they wrote in 7 ms; left to a commit that finds the log full it is 50 ms. */
const BATCHES_A_CHECKPOINT = 4;
const LONGEST_REST_MS = 100;

export interface RetentionOptions {
  readonly store: Store;
  readonly recorder: Pick<Recorder, 'remove' | 'removeSeveral'>;
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

  const removeJobs = async (
    how: How,
    scope: Scope,
    request: CleanUpRequest,
    signal?: Halt,
  ): Promise<number> => {
    const { olderThan: before = clock.now() - retentionMs, statuses = ENDED_JOB_STATUSES } = request;
    const wanted = { before, statuses: statuses.filter(hasEnded) };
    let removed = 0;
    let after: EndedJob | undefined;
    for (let batches = 1; !signal?.aborted; batches++) {
      const begunAt = clock.monotonic();
      const jobs = await endedBefore(db, scope, { ...wanted, after }, JOBS_AT_ONCE);
      removed += await recorder.removeSeveral(scope, idsOf(jobs), how);
      if (batches % BATCHES_A_CHECKPOINT === 0) await checkpoint(db);
      after = jobs.at(-1);
      if (jobs.length < JOBS_AT_ONCE) break;
      await rest(clock, clock.monotonic() - begunAt);
    }
    return removed;
  };

  /** Until a step, which answers how many went, finds less than a batch. */
  const inSteps = async (signal: Halt | undefined, step: () => Promise<number>): Promise<void> => {
    while (!signal?.aborted) {
      const begunAt = clock.monotonic();
      if ((await step()) < BATCH) return;
      await rest(clock, clock.monotonic() - begunAt);
    }
  };

  const round = async (signal?: Halt): Promise<void> => {
    const removed = await removeJobs('relaxed', 'any', {}, signal);
    if (removed > 0) logger.info({ jobs: removed }, 'old jobs removed');
    const old = clock.now() - retentionMs;
    await inSteps(signal, () => store.transaction((tx) => dropOldUploads(tx, old, BATCH)));
    await inSteps(signal, () => dropExpiredKeys(db, clock.now(), BATCH));
    await removeNoted(options, signal);
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
      const removed = await removeJobs('transaction', scope, request);
      await removeNoted(options);
      return removed;
    },
    async deleteJob(scope, jobId) {
      const result = await recorder.remove(scope, jobId);
      if (result.kind === 'removed') await removeFiles(options, result.blobs);
      return result;
    },
  };
}

const idsOf = (jobs: readonly EndedJob[]): string[] => jobs.map((job) => job.id);

/**
 * After each step the others get four times as long as it took: the embedded database holds the event loop meanwhile, and
 * Postgres has other work too.
 */
async function rest(clock: Clock, stepMs: number): Promise<void> {
  const ms = Math.min(LONGEST_REST_MS, stepMs * 4);
  if (ms >= 1) await pause(clock, ms);
  else await nextTurn();
}

/** Goes through all noted blobs once. */
async function removeNoted(options: RetentionOptions, signal?: Halt): Promise<void> {
  let last: BlobName | undefined;
  for (;;) {
    const blobs = await droppedBlobs(options.store.db, BATCH, last);
    await removeFiles(options, blobs, signal);
    last = blobs.at(-1);
    if (blobs.length < BATCH || signal?.aborted) return;
  }
}

/** Files that are in use, or that the disk refuses to remove, stay noted for the next round. */
async function removeFiles(
  options: RetentionOptions,
  blobs: readonly BlobName[],
  signal?: Halt,
): Promise<void> {
  const judged: BlobName[] = [];
  for (const blob of blobs) {
    if (signal?.aborted) break;
    if (await removeFile(options, blob)) judged.push(blob);
    await nextTurn();
  }
  // what a power cut undoes of it is judged again
  if (judged.length > 0) await options.store.relaxed((tx) => forgetDropped(tx, judged));
}

/** False where it has to be tried again. */
async function removeFile(
  { store, storage, logger, crashAt }: RetentionOptions,
  blob: BlobName,
): Promise<boolean> {
  const { tenant, sha256 } = blob;
  try {
    const result = await storage.remove(tenant, sha256, async () => !(await isReferenced(store.db, blob)));
    if (result === 'removed') crashAt?.('clean-up:file-removed');
    return result !== 'in-use';
  } catch (error) {
    logger.warn({ err: error, tenant, sha256 }, 'a file could not be removed');
    return false;
  }
}
