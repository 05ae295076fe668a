/** What the resolvers work with: every part is built elsewhere and handed in, so that a replica without a scheduler serves the same schema. */
import type { Config } from '../config.ts';
import type { JobStatus } from '../domain/job.ts';
import type { Viewer } from '../domain/viewer.ts';
import type { EventBus } from '../events/bus.ts';
import type { Recorder } from '../jobs/recorder.ts';
import type { Submitter } from '../jobs/submit.ts';
import type { Uploads } from '../jobs/uploads.ts';
import type { Waiter } from '../jobs/waiter.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { BlobStore } from '../storage/blob-store.ts';
import type { UrlSigner } from '../storage/signed-url.ts';
import type { Store } from '../store/open.ts';
import type { WorkflowRegistry } from '../workflows/definition.ts';
import type { HealthReport } from './health-report.ts';

/** What cleanUpJobs asks of retention. */
export interface CleanUp {
  /** Deletes the viewer's ended jobs that ended before `olderThan` (epoch ms) and their files; answers how many jobs. */
  cleanUp(
    viewer: Viewer,
    options: { readonly olderThan: number; readonly statuses: readonly JobStatus[] },
  ): Promise<number>;
}

export interface Services {
  readonly store: Store;
  readonly bus: EventBus;
  readonly storage: BlobStore;
  readonly submitter: Submitter;
  readonly uploads: Uploads;
  readonly waiter: Waiter;
  readonly recorder: Recorder;
  readonly retention: CleanUp;
  readonly workflows: () => WorkflowRegistry;
  readonly health: () => Promise<HealthReport>;
  readonly signer: UrlSigner;
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
}
