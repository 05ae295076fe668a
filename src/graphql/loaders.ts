/**
 * One query for all who ask at the same moment: siblings of a list, and the thousands of subscribers that come back after
 * a restart. Each loader gathers the keys asked for in one turn of the event loop. Nothing is remembered (`cache: false`),
 * because a memory would grow stale.
 */
import DataLoader from 'dataloader';
import type { Inventory } from '../domain/capabilities.ts';
import type { Instance } from '../domain/instance.ts';
import type { Attempt, Job } from '../domain/job.ts';
import type { JobEventRow } from '../domain/job-event.ts';
import type { Output, StoredUpload } from '../domain/output.ts';
import type { Viewer } from '../domain/viewer.ts';
import type { Latest } from '../events/bus.ts';
import { attemptsOfJobs } from '../store/attempts.ts';
import { grouped } from '../store/grouped.ts';
import { countJobsOfInstances, pageJobsOfInstances } from '../store/instance-jobs.ts';
import { openAttemptCounts } from '../store/instance-load.ts';
import { findInstances, findInventories, listInstances } from '../store/instances.ts';
import { eventsAfter } from '../store/job-events.ts';
import {
  findJobs,
  type JobCursor,
  type JobPage,
  type JobPageRequest,
  pageJobs,
  queueCounts,
  queuePositions,
} from '../store/jobs.ts';
import { blockedReasons } from '../store/needs.ts';
import type { Db } from '../store/open.ts';
import { findOutputs, outputsOfJobs } from '../store/outputs.ts';
import { meanRunMs } from '../store/run-times.ts';
import { findUploads } from '../store/uploads.ts';
import { fleetCapacity } from './fleet-capacity.ts';
import { NOTHING_LIVE } from './job-view.ts';
import { type QueueStatus, readQueueStatus } from './queue-status.ts';
import type { Services } from './services.ts';
import type { Throughput } from './wait-estimate.ts';

/** An instance and what it can run; null where that was not read yet. */
export interface EquippedInstance {
  readonly instance: Instance;
  readonly inventory: Inventory | null;
}

export interface Loaders {
  readonly job: DataLoader<string, Job | null>;
  readonly instance: DataLoader<string, Instance | null>;
  readonly upload: DataLoader<string, StoredUpload | null>;
  readonly output: DataLoader<string, Output | null>;
  readonly attempts: DataLoader<string, readonly Attempt[]>;
  /** Kept events of a job after a number. */
  readonly events: DataLoader<EventsKey, readonly JobEventRow[]>;
  readonly outputs: DataLoader<string, readonly Output[]>;
  readonly latest: DataLoader<string, Latest>;
  /** Place in the queue, from 1; null once it has left. */
  readonly position: DataLoader<string, number | null>;
  /** Why a class of needs waits, by needs key. */
  readonly blockedBy: DataLoader<string, string | null>;
  readonly jobPage: DataLoader<JobPageRequest, JobPage>;
  readonly instanceJobs: DataLoader<InstanceJobsKey, JobPage>;
  readonly instanceJobCount: DataLoader<string, number>;
  /** Open attempts of an instance. */
  readonly running: DataLoader<string, number>;
  /** Asked with any key: there is one fleet. */
  readonly throughput: DataLoader<'fleet', Throughput>;
  readonly equipped: DataLoader<'fleet', readonly EquippedInstance[]>;
  /** All instances of the fleet. */
  readonly fleet: DataLoader<'fleet', readonly Instance[]>;
  readonly queue: DataLoader<'fleet', QueueStatus>;
}

export interface InstanceJobsKey {
  readonly instanceId: string;
  readonly first: number;
  readonly after: JobCursor | undefined;
}

export interface EventsKey {
  readonly jobId: string;
  readonly after: number;
}

/** Most events in one answer of `events`. */
export const EVENTS_PAGE = 200;

const NO_JOBS: JobPage = { jobs: [], hasNext: false, hasPrevious: false };

type Load<K, V> = (keys: readonly K[]) => Promise<ReadonlyMap<K, V>>;

/** SQLite takes 32,766 parameters in a statement. */
const MAX_BATCH = 1000;

/** Gathers over one turn of the event loop: whatever the sockets brought in it is answered together. */
const GATHERING = {
  cache: false,
  maxBatchSize: MAX_BATCH,
  batchScheduleFn: (answer: () => void) => void setImmediate(answer),
} as const;

/** A loader whose batch asks for each key once; what is not found is `absent`. */
function loader<K extends string, V>(load: Load<K, V>, absent: V): DataLoader<K, V> {
  return new DataLoader<K, V>(async (keys) => {
    const found = await load([...new Set(keys)]);
    return keys.map((key) => found.get(key) ?? absent);
  }, GATHERING);
}

/** A loader of the one thing there is. */
function single<V>(load: () => Promise<V>): DataLoader<'fleet', V> {
  return new DataLoader<'fleet', V>(async (keys) => {
    const value = await load();
    return keys.map(() => value);
  }, GATHERING);
}

export function byId<T extends { readonly id: string }>(items: readonly T[]): Map<string, T> {
  return new Map(items.map((item) => [item.id, item]));
}

/** One query for each job and number asked for. */
async function eventsOf(
  db: Db,
  viewer: Viewer,
  keys: readonly EventsKey[],
): Promise<(readonly JobEventRow[])[]> {
  const kindOf = ({ jobId, after }: EventsKey): string => JSON.stringify([jobId, after]);
  const found = new Map<string, readonly JobEventRow[]>();
  for (const [kind, [key]] of grouped(keys, kindOf)) {
    if (key) found.set(kind, await eventsAfter(db, viewer, key.jobId, key.after, EVENTS_PAGE));
  }
  return keys.map((key) => found.get(kindOf(key)) ?? []);
}

/** One query for each page asked for. */
async function jobPagesOf(db: Db, viewer: Viewer, keys: readonly JobPageRequest[]): Promise<JobPage[]> {
  const found = new Map<string, JobPage>();
  for (const [kind, [key]] of grouped(keys, (request) => JSON.stringify(request))) {
    if (key) found.set(kind, await pageJobs(db, viewer, key));
  }
  return keys.map((key) => found.get(JSON.stringify(key)) ?? NO_JOBS);
}

/** One query for each size and start asked for: siblings of a list ask for the same. */
async function pagesOf(db: Db, viewer: Viewer, keys: readonly InstanceJobsKey[]): Promise<JobPage[]> {
  const kindOf = ({ first, after }: InstanceJobsKey): string => JSON.stringify([first, after]);
  const kinds = grouped(keys, kindOf);
  const pages = new Map<string, ReadonlyMap<string, JobPage>>();
  for (const [kind, same] of kinds) {
    const ids = [...new Set(same.map(({ instanceId }) => instanceId))];
    const [request] = same;
    if (request) pages.set(kind, await pageJobsOfInstances(db, viewer, ids, request));
  }
  return keys.map((key) => pages.get(kindOf(key))?.get(key.instanceId) ?? NO_JOBS);
}

export function createLoaders(services: Services, viewer: Viewer): Loaders {
  const { store, bus, config } = services;
  const { db } = store;
  return {
    job: loader<string, Job | null>(async (ids) => byId(await findJobs(db, viewer, ids)), null),
    instance: loader<string, Instance | null>(async (ids) => byId(await findInstances(db, ids)), null),
    upload: loader<string, StoredUpload | null>(
      async (ids) => byId(await findUploads(db, viewer, ids)),
      null,
    ),
    output: loader<string, Output | null>(async (ids) => byId(await findOutputs(db, viewer, ids)), null),
    attempts: loader<string, readonly Attempt[]>((ids) => attemptsOfJobs(db, viewer, ids), []),
    events: new DataLoader((keys) => eventsOf(db, viewer, keys), GATHERING),
    outputs: loader<string, readonly Output[]>((ids) => outputsOfJobs(db, viewer, ids), []),
    latest: loader<string, Latest>((ids) => bus.latest(ids), NOTHING_LIVE),
    position: loader<string, number | null>((ids) => queuePositions(db, ids), null),
    blockedBy: loader<string, string | null>((keys) => blockedReasons(db, keys), null),
    jobPage: new DataLoader((keys) => jobPagesOf(db, viewer, keys), GATHERING),
    instanceJobs: new DataLoader((keys) => pagesOf(store.db, viewer, keys), GATHERING),
    instanceJobCount: loader<string, number>((ids) => countJobsOfInstances(db, viewer, ids), 0),
    running: loader<string, number>((ids) => openAttemptCounts(db, ids), 0),
    throughput: single(async () => {
      const [counts, instances, mean] = [await queueCounts(db), await listInstances(db), await meanRunMs(db)];
      const capacity = fleetCapacity(instances, config.maxConcurrentJobs);
      return { meanRunMs: mean, capacity, running: counts.processing };
    }),
    fleet: single(() => listInstances(db)),
    queue: single(() => readQueueStatus(services)),
    equipped: single(async () => {
      const instances = await listInstances(db);
      const keys = instances.flatMap(({ inventoryKey }) => (inventoryKey === null ? [] : [inventoryKey]));
      const inventories = await findInventories(db, [...new Set(keys)]);
      return instances.map((instance) => ({
        instance,
        inventory: inventories.get(instance.inventoryKey ?? '') ?? null,
      }));
    }),
  };
}
