/**
 * The composition root: builds every part in floor order, by hand, and answers one Service. What starts first stops
 * last: the store and the bus outlive everything that writes to them.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Config } from './config.ts';
import { type CrashHook, neverCrash } from './domain/crash-points.ts';
import type { EventBus } from './events/bus.ts';
import { createBus } from './events/create-bus.ts';
import { createFleet } from './fleet/fleet.ts';
import { createHealthReporter } from './graphql/health-report.ts';
import { createHttpServer, type HttpServer } from './http/server.ts';
import { createRecorder } from './jobs/recorder.ts';
import { createRetention } from './jobs/retention.ts';
import { createSubmitter } from './jobs/submit.ts';
import { createUploads } from './jobs/uploads.ts';
import { createWaiter } from './jobs/waiter.ts';
import { type Clock, pause, systemClock } from './lib/clock.ts';
import { createIds } from './lib/ids.ts';
import type { Logger } from './lib/logger.ts';
import { type Service, startAll, stopAll } from './lib/service.ts';
import { createScheduler, type Scheduler } from './scheduler/scheduler.ts';
import type { BlobStore } from './storage/blob-store.ts';
import { createStorage } from './storage/create-storage.ts';
import { MemoryBlobGuard } from './storage/memory-blob-guard.ts';
import { signingKey, UrlSigner } from './storage/signed-url.ts';
import { openStore, type Store } from './store/open.ts';
import { settingOrCreate } from './store/settings.ts';
import { loadWorkflows } from './workflows/registry.ts';

const SHIPPED_WORKFLOWS = fileURLToPath(new URL('../workflows', import.meta.url));
const PACKAGE = fileURLToPath(new URL('../package.json', import.meta.url));

export interface App extends Service {
  /** Where it serves, known once started: http://host:port. */
  readonly url: string;
}

/** What every part is built with. */
interface Ground {
  readonly config: Config;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly ids: () => string;
  readonly random: () => number;
  readonly store: Store;
  readonly bus: EventBus;
  readonly storage: BlobStore;
  readonly crashAt: CrashHook;
}

/** Opens the store and builds the gateway; nothing listens before `start`. @throws when the data folder is taken. */
export async function createApp(config: Config, logger: Logger, crashAt = neverCrash): Promise<App> {
  const workflows = loadWorkflows(config.workflowsDir ?? SHIPPED_WORKFLOWS);
  const store = await openStore({
    url: config.databaseUrl,
    dataDir: config.dataDir,
    synchronous: config.databaseSynchronous,
    poolMax: config.databasePoolMax,
    logger,
  });
  try {
    const parts = { logger, clock: systemClock, ids: createIds(systemClock), random: Math.random };
    const ground: Ground = {
      ...parts,
      config,
      store,
      bus: createBus(config, parts),
      storage: createStorage({ config, clock: systemClock, guard: new MemoryBlobGuard(), logger }),
      crashAt,
    };
    return await compose(ground, workflows);
  } catch (error) {
    await store.stop();
    throw error;
  }
}

async function compose(ground: Ground, workflows: ReturnType<typeof loadWorkflows>): Promise<App> {
  const { config, store, bus, storage } = ground;
  const recorder = createRecorder(ground);
  const { maxUploadBytes, maxUploadPixels } = config;
  const uploads = createUploads({ ...ground, limits: { maxUploadBytes, maxUploadPixels } });
  const submitter = createSubmitter({ ...ground, recorder, uploads, workflows: () => workflows });
  const { jobRetentionMs: retentionMs, cleanupIntervalMs: intervalMs } = config;
  const retention = createRetention({ ...ground, recorder, retentionMs, intervalMs });
  const fleet = createFleet(ground);
  const scheduler = createScheduler({ ...ground, recorder, fleet });
  const health = createHealthReporter({
    ...ground,
    schedulerHealthy: () => scheduler.healthy(),
    version: version(),
  });
  const http: HttpServer = createHttpServer({
    ...ground,
    submitter,
    uploads,
    recorder,
    retention,
    waiter: createWaiter(ground),
    workflows: () => workflows,
    health,
    signer: await urlSigner(config, store),
  });
  const services: Service[] = [store, bus, storage, fleet, scheduler, retention, http];
  return new Gateway(ground, services, { http, scheduler });
}

/**
 * Stops in this order: it says that it is not ready and begins no more attempts, while everything is still served for the
 * shutdown delay, so that whoever sends requests here has time to notice; then no more is listened for, requests in flight
 * are answered, subscriptions closed; last the scheduler lets go of what runs, for the next start to adopt.
 */
class Gateway implements App {
  readonly #ground: Ground;
  readonly #services: readonly Service[];
  readonly #parts: { readonly http: HttpServer; readonly scheduler: Scheduler };
  #started = false;
  #stopped: Promise<void> | undefined;

  constructor(
    ground: Ground,
    services: readonly Service[],
    parts: { readonly http: HttpServer; readonly scheduler: Scheduler },
  ) {
    this.#ground = ground;
    this.#services = services;
    this.#parts = parts;
  }

  get url(): string {
    return this.#parts.http.url;
  }

  async start(): Promise<void> {
    await startAll(this.#services);
    this.#started = true;
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const { clock, config } = this.#ground;
    this.#parts.http.drain();
    this.#parts.scheduler.hold();
    if (this.#started) await pause(clock, config.shutdownDelayMs);
    await stopAll(this.#services);
  }
}

/** Keys of the configuration, else one made once and kept in the store, so that URLs survive a restart. */
async function urlSigner(config: Config, store: Store): Promise<UrlSigner> {
  const kept = () => settingOrCreate(store.db, 'signing-key', () => randomBytes(32).toString('base64url'));
  const secrets = config.signingKeys.length > 0 ? config.signingKeys : [await kept()];
  return new UrlSigner(secrets.map(signingKey), config.fileUrlTtlMs);
}

function version(): string {
  return String(JSON.parse(readFileSync(PACKAGE, 'utf8')).version);
}
