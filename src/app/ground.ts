/** What every part stands on, whatever the role: the store and its clock, the bus, the storage. */
import type { Tracer } from '@opentelemetry/api';
import type { Config } from '../config.ts';
import type { CrashHook } from '../domain/crash-points.ts';
import type { EventBus } from '../events/bus.ts';
import { createBus } from '../events/create-bus.ts';
import { systemClock } from '../lib/clock.ts';
import { createIds } from '../lib/ids.ts';
import type { Logger } from '../lib/logger.ts';
import { ProcessFigures } from '../metrics/prometheus/process-figures.ts';
import type { BlobStore } from '../storage/blob-store.ts';
import { createStorage } from '../storage/create-storage.ts';
import { MemoryBlobGuard } from '../storage/memory-blob-guard.ts';
import { SqlBlobGuard } from '../store/blob-pins.ts';
import { isPostgres } from '../store/engine-sql.ts';
import { openStore, type Store } from '../store/open.ts';
import { createStoreClock, type StoreClock } from '../store/store-clock.ts';

export interface Ground {
  readonly config: Config;
  readonly logger: Logger;
  /** Tells the time of the store, which all processes of the fleet share. */
  readonly clock: StoreClock;
  readonly ids: () => string;
  readonly random: () => number;
  /** Since this process started, in ms. */
  readonly uptimeMs: () => number;
  readonly store: Store;
  readonly bus: EventBus;
  readonly storage: BlobStore;
  readonly crashAt: CrashHook;
  /** What this process counts of itself. */
  readonly processFigures: ProcessFigures;
  /** Null: nothing is traced. */
  readonly tracer: Tracer | null;
}

/**
 * Opens the store; nothing else runs yet. @throws when the store cannot be opened, or a URL is not served; the signal's
 * reason when it aborts while the database is waited for.
 */
export async function openGround(
  config: Config,
  logger: Logger,
  crashAt: CrashHook,
  tracer: Tracer | null,
  signal?: AbortSignal,
): Promise<Ground> {
  const store = await openStore({
    url: config.databaseUrl,
    dataDir: config.dataDir,
    synchronous: config.databaseSynchronous,
    poolMax: config.databasePoolMax,
    logger,
    signal,
  });
  try {
    const clock = await createStoreClock(store, systemClock, logger);
    const startedAt = clock.monotonic();
    const uptimeMs = (): number => Math.round(clock.monotonic() - startedAt);
    const parts = { logger, clock, ids: createIds(clock), random: Math.random, uptimeMs };
    const guard = isPostgres(store.db) ? new SqlBlobGuard({ ...parts, store }) : new MemoryBlobGuard();
    warnOfLonelyParts(config, logger);
    const processFigures = new ProcessFigures();
    const { onDropped } = processFigures;
    return {
      ...parts,
      config,
      store,
      bus: createBus(config, { ...parts, onDropped }),
      storage: createStorage({ config, clock, guard, logger }),
      crashAt,
      processFigures,
      tracer,
    };
  } catch (error) {
    await store.stop();
    throw error;
  }
}

/** A database is shared to run several processes; two of them without a common bus or storage half work. */
function warnOfLonelyParts({ databaseUrl, redisUrl, storageUrl }: Config, logger: Logger): void {
  if (databaseUrl === undefined) return;
  if (redisUrl === undefined) {
    logger.warn(
      'no REDIS_URL: subscriptions hear of what other processes on this database do every few seconds only, from the rows, and of no progress or previews there',
    );
  }
  if (storageUrl === undefined) {
    logger.warn(
      'no STORAGE_URL: files lie in DATA_DIR, where other processes on this database find them only if they share it',
    );
  }
}
