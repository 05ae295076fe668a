/**
 * One query for all siblings of a list: each loader gathers the keys asked for in one turn. Nothing is remembered
 * (`cache: false`), because a subscription keeps its context for as long as it lives and a memory would grow stale.
 */
import DataLoader from 'dataloader';
import type { Inventory } from '../domain/capabilities.ts';
import type { Instance } from '../domain/instance.ts';
import type { Attempt, Job } from '../domain/job.ts';
import type { Output, StoredUpload } from '../domain/output.ts';
import type { Viewer } from '../domain/viewer.ts';
import type { Latest } from '../events/bus.ts';
import { attemptsOfJobs } from '../store/attempts.ts';
import { grouped } from '../store/grouped.ts';
import { countJobsOfInstances, pageJobsOfInstances } from '../store/instance-jobs.ts';
import { openAttemptCounts } from '../store/instance-load.ts';
import { findInstances, findInventories, listInstances } from '../store/instances.ts';
import { findJobs, type JobCursor, type JobPage, queueCounts, queuePositions } from '../store/jobs.ts';
import { blockedReasons } from '../store/needs.ts';
import type { Db } from '../store/open.ts';
import { findOutputs, outputsOfJobs } from '../store/outputs.ts';
import { meanRunMs } from '../store/run-times.ts';
import { findUploads } from '../store/uploads.ts';
import { fleetCapacity } from './fleet-capacity.ts';
import { NOTHING_LIVE } from './job-view.ts';
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
  readonly outputs: DataLoader<string, readonly Output[]>;
  readonly latest: DataLoader<string, Latest>;
  /** Place in the queue, from 1; null once it has left. */
  readonly position: DataLoader<string, number | null>;
  /** Why a class of needs waits, by needs key. */
  readonly blockedBy: DataLoader<string, string | null>;
  readonly instanceJobs: DataLoader<InstanceJobsKey, JobPage>;
  readonly instanceJobCount: DataLoader<string, number>;
  /** Open attempts of an instance. */
  readonly running: DataLoader<string, number>;
  /** Asked with any key: there is one fleet. */
  readonly throughput: DataLoader<'fleet', Throughput>;
  readonly equipped: DataLoader<'fleet', readonly EquippedInstance[]>;
}

export interface InstanceJobsKey {
  readonly instanceId: string;
  readonly first: number;
  readonly after: JobCursor | undefined;
}

const NO_JOBS: JobPage = { jobs: [], hasNext: false, hasPrevious: false };

type Load<K, V> = (keys: readonly K[]) => Promise<ReadonlyMap<K, V>>;

/** A loader whose batch asks for each key once; what is not found is `absent`. */
function loader<K extends string, V>(load: Load<K, V>, absent: V): DataLoader<K, V> {
  return new DataLoader<K, V>(
    async (keys) => {
      const found = await load([...new Set(keys)]);
      return keys.map((key) => found.get(key) ?? absent);
    },
    { cache: false },
  );
}

/** A loader of the one thing there is. */
function single<V>(load: () => Promise<V>): DataLoader<'fleet', V> {
  return new DataLoader<'fleet', V>(
    async (keys) => {
      const value = await load();
      return keys.map(() => value);
    },
    { cache: false },
  );
}

export function byId<T extends { readonly id: string }>(items: readonly T[]): Map<string, T> {
  return new Map(items.map((item) => [item.id, item]));
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

export function createLoaders({ store, bus, config }: Services, viewer: Viewer): Loaders {
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
    outputs: loader<string, readonly Output[]>((ids) => outputsOfJobs(db, viewer, ids), []),
    latest: loader<string, Latest>((ids) => bus.latest(ids), NOTHING_LIVE),
    position: loader<string, number | null>((ids) => queuePositions(db, ids), null),
    blockedBy: loader<string, string | null>((keys) => blockedReasons(db, keys), null),
    instanceJobs: new DataLoader((keys) => pagesOf(store.db, viewer, keys), { cache: false }),
    instanceJobCount: loader<string, number>((ids) => countJobsOfInstances(db, viewer, ids), 0),
    running: loader<string, number>((ids) => openAttemptCounts(db, ids), 0),
    throughput: single(async () => {
      const [counts, instances, mean] = [await queueCounts(db), await listInstances(db), await meanRunMs(db)];
      const capacity = fleetCapacity(instances, config.maxConcurrentJobs);
      return { meanRunMs: mean, capacity, running: counts.processing };
    }),
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
