/** The part of the gateway that clients talk to: GraphQL, files, health. It needs no scheduler in its process. */
import { randomBytes } from 'node:crypto';
import type { Config } from '../config.ts';
import type { LimitsOf } from '../domain/tenant-limits.ts';
import { createFleetWriter } from '../fleet/fleet-writer.ts';
import type { HealthReport } from '../graphql/health-report.ts';
import { createHttpServer, type HttpServer } from '../http/server.ts';
import type { Recorder } from '../jobs/recorder.ts';
import type { Retention } from '../jobs/retention.ts';
import { createSubmitter } from '../jobs/submit.ts';
import { createUploads } from '../jobs/uploads.ts';
import { createWaiter } from '../jobs/waiter.ts';
import type { Exposition } from '../metrics/prometheus/exposition.ts';
import { signingKey, UrlSigner } from '../storage/signed-url.ts';
import type { Store } from '../store/open.ts';
import { settingOrCreate } from '../store/settings.ts';
import type { WorkflowRegistry } from '../workflows/definition.ts';
import type { Ground } from './ground.ts';

export interface ApiParts {
  readonly recorder: Recorder;
  readonly retention: Retention;
  readonly health: () => Promise<HealthReport>;
  readonly workflows: WorkflowRegistry;
  readonly limitsOf: LimitsOf;
  readonly exposition: Exposition | null;
}

/** @throws when the workflows do not fit the schema. */
export async function createApi(ground: Ground, parts: ApiParts): Promise<HttpServer> {
  const { config, store, processFigures: observer } = ground;
  const { recorder, limitsOf } = parts;
  const workflows = () => parts.workflows;
  const { maxUploadBytes, maxUploadPixels } = config;
  const limits = { maxUploadBytes, maxUploadPixels };
  const uploads = createUploads({ ...ground, limits, onReceived: observer.onUpload });
  return createHttpServer({
    ...ground,
    ...parts,
    observer,
    workflows,
    uploads,
    submitter: createSubmitter({ ...ground, recorder, uploads, workflows, limitsOf }),
    fleet: createFleetWriter(ground),
    waiter: createWaiter(ground),
    signer: await urlSigner(config, store),
  });
}

/** Keys of the configuration, else one made once and kept in the store, so that URLs survive a restart and fit everywhere. */
async function urlSigner(config: Config, store: Store): Promise<UrlSigner> {
  const kept = () => settingOrCreate(store.db, 'signing-key', () => randomBytes(32).toString('base64url'));
  const secrets = config.signingKeys.length > 0 ? config.signingKeys : [await kept()];
  return new UrlSigner(secrets.map(signingKey), config.fileUrlTtlMs);
}
