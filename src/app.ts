/**
 * The composition root: builds every part that the role needs, in floor order, by hand, and answers one Service. What
 * starts first stops last: the store and the bus outlive everything that writes to them.
 *
 *   api        http, GraphQL, files; reads rows, listens to the bus, hints
 *   scheduler  leader or standby: the fleet, the jobs' runs, retention; a small server for health
 *   all        both
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { LimitsFile } from './access/limits-file.ts';
import { createApi } from './app/api.ts';
import { Gateway } from './app/gateway.ts';
import { type Ground, openGround } from './app/ground.ts';
import type { Config } from './config.ts';
import { neverCrash } from './domain/crash-points.ts';
import { createFleet, type Fleet } from './fleet/fleet.ts';
import { createHealthReporter } from './graphql/health-report.ts';
import { createHealthServer } from './http/health-server.ts';
import { createRecorder } from './jobs/recorder.ts';
import { createRetention } from './jobs/retention.ts';
import { systemClock } from './lib/clock.ts';
import type { Logger } from './lib/logger.ts';
import { type Service, together } from './lib/service.ts';
import { keepFigures } from './metrics/figure-keeping.ts';
import { Exposition } from './metrics/prometheus/exposition.ts';
import { createScheduler, type Scheduler } from './scheduler/scheduler.ts';
import { isHeld, LEADER_LEASE } from './store/leases.ts';
import { openTracing } from './tracing/open-tracing.ts';
import type { Tracing } from './tracing/tracing.ts';
import type { WorkflowRegistry } from './workflows/definition.ts';
import { loadWorkflows } from './workflows/registry.ts';

const SHIPPED_WORKFLOWS = fileURLToPath(new URL('../workflows', import.meta.url));
const PACKAGE = fileURLToPath(new URL('../package.json', import.meta.url));

export interface App extends Service {
  /** Where it serves, known once started: http://host:port. */
  readonly url: string;
}

/**
 * Opens the store and builds the gateway; nothing listens before `start`. @throws when the data folder is taken; a
 * ConfigError when a file that the configuration names is wrong; the signal's reason when it aborts while the database is
 * waited for.
 */
export async function createApp(
  config: Config,
  logger: Logger,
  crashAt = neverCrash,
  signal?: AbortSignal,
  tracing?: Tracing,
): Promise<App> {
  const workflows = loadWorkflows(config.workflowsDir ?? SHIPPED_WORKFLOWS);
  const limits = new LimitsFile({ path: config.tenantLimitsFile, clock: systemClock, logger });
  const spans = tracing ?? (await openTracing(config, { version: version(), clock: systemClock, logger }));
  const ground = await openGround(config, logger, crashAt, spans.tracer, signal);
  try {
    return await compose(ground, { workflows, limits, spans });
  } catch (error) {
    await ground.store.stop();
    throw error;
  }
}

const version = (): string => String(JSON.parse(readFileSync(PACKAGE, 'utf8')).version);

interface Parts {
  readonly workflows: WorkflowRegistry;
  readonly limits: LimitsFile;
  readonly spans: Tracing;
}

async function compose(ground: Ground, { workflows, limits, spans }: Parts): Promise<App> {
  const { config, store, clock, bus, storage, processFigures } = ground;
  const recorder = createRecorder(ground);
  const { limitsOf } = limits;
  const wall = (): number => systemClock.now();
  const scheduler =
    config.role === 'api'
      ? null
      : createScheduler({ ...ground, recorder, fleet: fleetOf(ground), limitsOf, wall });
  const { jobRetentionMs: retentionMs, cleanupIntervalMs: intervalMs } = config;
  const leads = (): boolean => scheduler?.leads() ?? false;
  const retention = createRetention({ ...ground, recorder, retentionMs, intervalMs, mayRun: leads });
  const figures = keepFigures({ ...ground, retentionMs: config.metricsRetentionMs, mayRun: leads });
  const health = healthOf(ground, scheduler);
  const exposition = config.prometheus
    ? new Exposition({ ...ground, figures: processFigures, leads: scheduler ? leads : undefined })
    : null;
  const door =
    config.role === 'scheduler'
      ? createHealthServer({ ...ground, health, leads, exposition, observer: processFigures })
      : await createApi(ground, { recorder, retention, health, workflows, limitsOf, exposition });
  // retention may be waiting for a slow bucket, and a successor for the lease
  const ofScheduler: Service[] = scheduler ? [together([scheduler, retention, figures])] : [];
  limits.onChange(() => scheduler?.wake());
  const services = [spans, store, clock, bus, storage, limits, ...ofScheduler, door];
  return new Gateway({ config, clock, services, door, hold: () => scheduler?.hold() });
}

function fleetOf(ground: Ground): Fleet {
  return createFleet({ ...ground, onRequest: ground.processFigures.onComfyRequest });
}

function healthOf(ground: Ground, scheduler: Scheduler | null): ReturnType<typeof createHealthReporter> {
  const { store, clock } = ground;
  return createHealthReporter({
    ...ground,
    version: version(),
    ...(scheduler && { schedulerHealthy: () => scheduler.healthy() }),
    fleetIsLed: async () => scheduler?.leads() || isHeld(store.vital, LEADER_LEASE, clock.now()),
  });
}
