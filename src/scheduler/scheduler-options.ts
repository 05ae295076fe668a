/** What the scheduler is built with. */
import type { Tracer } from '@opentelemetry/api';
import type { Config } from '../config.ts';
import type { CrashHook } from '../domain/crash-points.ts';
import type { LimitsOf } from '../domain/tenant-limits.ts';
import type { EventBus } from '../events/bus.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Recorder } from '../jobs/recorder.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { BlobStore } from '../storage/blob-store.ts';
import type { Store } from '../store/open.ts';
import type { RunConfig } from './runs/active-run.ts';

export interface SchedulerOptions {
  readonly store: Store;
  readonly bus: EventBus;
  readonly recorder: Recorder;
  readonly fleet: Fleet;
  readonly storage: BlobStore;
  readonly clock: Clock;
  /** Makes canonical lowercase UUIDs: attempt ids become ComfyUI's prompt ids. */
  readonly ids: () => string;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly config: RunConfig &
    Pick<
      Config,
      | 'maxConcurrentJobs'
      | 'maxTransfers'
      | 'retryBudgetPercent'
      | 'retryBaseMs'
      | 'retryCapMs'
      | 'shutdownGraceMs'
      | 'leaseTtlMs'
      | 'priorityAgeingMs'
    >;
  /** Weights and caps of tenants. */
  readonly limitsOf: LimitsOf;
  readonly logger: Logger;
  readonly crashAt?: CrashHook | undefined;
  /** Null: nothing is traced. */
  readonly tracer?: Tracer | null | undefined;
  /** Of this machine, epoch ms: shows that it was suspended. */
  readonly wall?: (() => number) | undefined;
}
