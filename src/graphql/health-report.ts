/**
 * What /health and `health` say. CRITICAL: no job can make progress (store down, event bus stopped, no process
 * that leads the fleet, or every instance down or put aside). DEGRADED: work goes on but something is wrong, an empty fleet
 * included, because jobs are accepted and wait; so are figures that stand still.
 */
import type { Instance } from '../domain/instance.ts';
import type { EventBus } from '../events/bus.ts';
import { inTime } from '../events/in-time.ts';
import { PANIC_SETTING } from '../fleet/panic.ts';
import type { Clock } from '../lib/clock.ts';
import type { BlobStore } from '../storage/blob-store.ts';
import { listInstances } from '../store/instances.ts';
import { queueCounts } from '../store/jobs.ts';
import { persistedAt } from '../store/metric-progress.ts';
import type { Store } from '../store/open.ts';
import { findSetting } from '../store/settings.ts';

export const HEALTH_STATUSES = ['HEALTHY', 'DEGRADED', 'CRITICAL'] as const;
export type HealthStatus = (typeof HEALTH_STATUSES)[number];

export interface HealthCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly message: string | null;
}

export interface HealthReport {
  readonly status: HealthStatus;
  readonly version: string;
  readonly uptimeMs: number;
  readonly instancesTotal: number;
  readonly instancesHealthy: number;
  readonly activeJobs: number;
  readonly checks: readonly HealthCheck[];
}

export interface HealthParts {
  readonly store: Store;
  readonly bus: EventBus;
  readonly storage: BlobStore;
  /** Whether the scheduler of this process runs; absent where there is none. */
  readonly schedulerHealthy?: () => boolean;
  /** Some process leads the fleet; rejects while that is not known. Absent where nobody asks. */
  readonly fleetIsLed?: () => Promise<boolean>;
  readonly clock: Clock;
  /** Since this process started, in ms. */
  readonly uptimeMs: () => number;
  readonly version: string;
}

/** Less free space than this and outputs will soon not fit. */
const LOW_SPACE_BYTES = 512 * 1024 * 1024;
/** A store that answers may be gone, or busy, a moment later. Longer than a query waits for a connection. */
const ROWS_WITHIN_MS = 6000;
/** Whoever leads brings the figures up to date every second, and says so every ten. */
const STALE_FIGURES_MS = 60_000;

/** A function that makes the report anew. It never throws. */
export function createHealthReporter(parts: HealthParts): () => Promise<HealthReport> {
  return async () => {
    // asked first, since that answers in time also when the store does not
    const reached = await parts.store.healthy();
    const ask = <T>(answer: () => Promise<T>) =>
      reached ? inTime(parts.clock, ROWS_WITHIN_MS, answer()) : null;
    const [rows, led] = await Promise.all([
      ask(() => readRows(parts.store)),
      ask(async () => parts.fleetIsLed?.()),
    ]);
    const core = [
      ...schedulerCheck(parts, led ?? null),
      check('store', rows !== null, 'the store does not answer'),
      check('bus', parts.bus.healthy(), 'the event bus does not run'),
    ];
    const space = await spaceCheck(parts.storage);
    const figures = rows && led === true ? [figuresCheck(parts, rows.persistedAt)] : [];
    const instances = rows?.instances ?? [];
    const fleet = fleetCheck(instances, rows?.isPanic === true);
    return {
      status: verdict(core, [space, fleet, ...figures], instances),
      version: parts.version,
      uptimeMs: parts.uptimeMs(),
      instancesTotal: instances.length,
      instancesHealthy: instances.filter(({ health }) => health === 'HEALTHY').length,
      activeJobs: rows?.active ?? 0,
      checks: [...core, space, ...figures, fleet, ...instances.map(instanceCheck)],
    };
  };
}

interface Rows {
  readonly instances: readonly Instance[];
  readonly active: number;
  /** Whoever leads says that much fails on most instances. */
  readonly isPanic: boolean;
  /** Up to when everything is in the figures. */
  readonly persistedAt: number | null;
}

async function readRows(store: Store): Promise<Rows> {
  const instances = await listInstances(store.db);
  const counts = await queueCounts(store.db);
  const isPanic = (await findSetting(store.db, PANIC_SETTING)) !== null;
  const active = counts.pending + counts.processing;
  return { instances, active, isPanic, persistedAt: await persistedAt(store.db) };
}

function verdict(
  core: readonly HealthCheck[],
  others: readonly HealthCheck[],
  instances: readonly Instance[],
): HealthStatus {
  // one that is tested may be used again in a second; one that is put aside may not
  const works = instances.filter((one) => answers(one) && one.breaker !== 'OPEN').length;
  if (core.some(({ ok }) => !ok) || (instances.length > 0 && works === 0)) return 'CRITICAL';
  const whole = others.every(({ ok }) => ok) && instances.length > 0 && instances.every(isWell);
  return whole ? 'HEALTHY' : 'DEGRADED';
}

function answers({ health }: Instance): boolean {
  return health === 'HEALTHY' || health === 'DEGRADED';
}

/** It answers, nothing is amiss, and it gets jobs. */
function isWell({ health, breaker }: Instance): boolean {
  return health === 'HEALTHY' && breaker === 'CLOSED';
}

function check(name: string, ok: boolean, problem: string): HealthCheck {
  return { name, ok, message: ok ? null : problem };
}

const NOBODY_LEADS =
  'no process leads the fleet, so jobs wait: start one with ROLE=scheduler (or all), or read in its log why it does not lead';

const MUCH_FAILS =
  'much fails on most instances: no more of them are put aside for it, and repeated attempts wait until that is over; suspect the jobs, a shared folder of models, or the gateway';

/** `led` is null where that could not be found out. */
function schedulerCheck({ schedulerHealthy, fleetIsLed }: HealthParts, led: boolean | null): HealthCheck[] {
  if (schedulerHealthy?.() === false) return [check('scheduler', false, 'it does not run')];
  if (!fleetIsLed) return schedulerHealthy ? [check('scheduler', true, '')] : [];
  const problem = led === null ? 'who leads the fleet is not known: the store does not answer' : NOBODY_LEADS;
  return [check('scheduler', led === true, problem)];
}

async function spaceCheck(storage: BlobStore): Promise<HealthCheck> {
  const free = await storage.freeBytes().catch(() => undefined);
  if (free === undefined) return check('storage', false, 'the storage does not answer');
  if (free === null) return { name: 'storage', ok: true, message: null };
  return { name: 'storage', ok: free >= LOW_SPACE_BYTES, message: `${(free / 2 ** 30).toFixed(1)} GiB free` };
}

/** A gateway that starts is given time to catch up with what happened before. */
function figuresCheck({ clock, uptimeMs }: HealthParts, upTo: number | null): HealthCheck {
  const stale = Math.min(uptimeMs(), clock.now() - (upTo ?? 0));
  const seconds = Math.round(stale / 1000);
  const problem = `for ${seconds} s nothing came into the figures (metrics, usage, /metrics), which is noted and will be made up for: read "figures" in the log of the process that leads, and restart it if it says nothing`;
  return check('metrics', stale <= STALE_FIGURES_MS, problem);
}

function fleetCheck(instances: readonly Instance[], isPanic: boolean): HealthCheck {
  if (instances.length === 0) {
    return { name: 'instances', ok: false, message: 'no instances are configured' };
  }
  const answering = instances.filter(answers).length;
  return {
    name: 'instances',
    ok: answering === instances.length && !isPanic,
    message: `${answering} of ${instances.length} answer${isPanic ? `; ${MUCH_FAILS}` : ''}`,
  };
}

function instanceCheck(instance: Instance): HealthCheck {
  const ok = isWell(instance);
  const { health, breaker, lastError } = instance;
  const state = health === 'HEALTHY' ? breaker : health;
  const message = ok ? null : `${state}${lastError === null ? '' : `: ${lastError}`}`;
  return { name: `instance ${instance.name}`, ok, message };
}
