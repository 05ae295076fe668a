/** What the resolvers work with: every part is built elsewhere and handed in, so that a replica without a scheduler serves the same schema. */
import type { Tracer } from '@opentelemetry/api';
import type { Config } from '../config.ts';
import type { EventBus } from '../events/bus.ts';
import type { FleetWriter } from '../fleet/fleet-writer.ts';
import type { Recorder } from '../jobs/recorder.ts';
import type { Retention } from '../jobs/retention.ts';
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

export interface Services {
  readonly store: Store;
  readonly bus: EventBus;
  readonly storage: BlobStore;
  readonly submitter: Submitter;
  readonly uploads: Uploads;
  readonly waiter: Waiter;
  readonly recorder: Recorder;
  readonly fleet: FleetWriter;
  readonly retention: Pick<Retention, 'cleanUp' | 'deleteJob'>;
  readonly workflows: () => WorkflowRegistry;
  readonly health: () => Promise<HealthReport>;
  /** Since this process started, in ms. */
  readonly uptimeMs: () => number;
  readonly signer: UrlSigner;
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Null: nothing is traced. */
  readonly tracer?: Tracer | null;
}
