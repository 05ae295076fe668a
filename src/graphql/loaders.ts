/**
 * What resolvers read, each kind gathered: see gathered.ts. Made twice, for queries and mutations and for subscriptions.
 */
import type DataLoader from 'dataloader';
import type { Config } from '../config.ts';
import type { Instance } from '../domain/instance.ts';
import type { Attempt, Job } from '../domain/job.ts';
import type { JobEventRow } from '../domain/job-event.ts';
import type { JobFilter } from '../domain/job-filter.ts';
import type { Output, StoredUpload } from '../domain/output.ts';
import type { Viewer } from '../domain/viewer.ts';
import type { Latest } from '../events/bus.ts';
import type { Gate } from '../lib/gate.ts';
import { attemptsOfJobs } from '../store/attempts.ts';
import { equippedFleet } from '../store/equipped-fleet.ts';
import { grouped } from '../store/grouped.ts';
import { countJobsOfInstances, pageJobsOfInstances } from '../store/instance-jobs.ts';
import { openAttemptCounts } from '../store/instance-load.ts';
import { findInstances, listInstances } from '../store/instances.ts';
import type { EquippedInstance } from '../store/inventories.ts';
import { type ChangeCursor, endedSince, waitingSince } from '../store/job-changes.ts';
import { type EventsCursor, eventsAfterEach } from '../store/job-events.ts';
import {
  findJobs,
  type JobCursor,
  type JobPage,
  type JobPageRequest,
  pageJobs,
  queueCounts,
} from '../store/jobs.ts';
import { blockedReasons } from '../store/needs.ts';
import type { Db } from '../store/open.ts';
import { findOutputs, outputsOfJobs } from '../store/outputs.ts';
import { meanRunMs } from '../store/run-times.ts';
import { findUploads } from '../store/uploads.ts';
import { fleetCapacity } from './fleet-capacity.ts';
import { gathered, gatheredByKey, gatheredOneByOne } from './gathered.ts';
import { NOTHING_LIVE } from './job-view.ts';
import type { PlaceBoard } from './place-board.ts';
import type { Standing, Waiting } from './places.ts';
import { type QueueStatus, readQueueStatus } from './queue-status.ts';
import type { Services } from './services.ts';
import type { Throughput } from './wait-estimate.ts';

type Loader<K, V> = Pick<DataLoader<K, V, string>, 'load'>;

export interface Loaders {
  readonly job: Loader<string, Job | null>;
  readonly instance: Loader<string, Instance | null>;
  readonly upload: Loader<string, StoredUpload | null>;
  readonly output: Loader<string, Output | null>;
  readonly attempts: Loader<string, readonly Attempt[]>;
  /** Kept events of a job after a number. */
  readonly events: Loader<EventsCursor, readonly JobEventRow[]>;
  readonly outputs: Loader<string, readonly Output[]>;
  readonly latest: Loader<string, Latest>;
  /** Place in the queue; null once it has left. */
  readonly place: Loader<Waiting, Standing | null>;
  /** Why a class of needs waits, by needs key. */
  readonly blockedBy: Loader<string, string | null>;
  readonly changes: Loader<ChangesKey, readonly Job[]>;
  readonly jobPage: Loader<JobPageRequest, JobPage>;
  readonly instanceJobs: Loader<InstanceJobsKey, JobPage>;
  readonly instanceJobCount: Loader<string, number>;
  /** Open attempts of an instance. */
  readonly running: Loader<string, number>;
  /** Asked with any key: there is one fleet. */
  readonly throughput: Loader<'fleet', Throughput>;
  readonly equipped: Loader<'fleet', readonly EquippedInstance[]>;
  /** All instances of the fleet. */
  readonly fleet: Loader<'fleet', readonly Instance[]>;
  readonly queue: Loader<'fleet', QueueStatus>;
}

export interface InstanceJobsKey {
  readonly instanceId: string;
  readonly first: number;
  readonly after: JobCursor | undefined;
}

/** Jobs that came to wait or ended since, of those that match. */
export interface ChangesKey {
  readonly kind: 'waiting' | 'ended';
  readonly filter: JobFilter;
  readonly after: ChangeCursor;
  readonly limit: number;
}

/** Most events in one answer of `events`. */
export const EVENTS_PAGE = 200;

const NO_JOBS: JobPage = { jobs: [], hasNext: false, hasPrevious: false };

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

/** `gate`: lets a few queries at a time through to the store. */
export function createLoaders(services: Services, places: PlaceBoard, viewer: Viewer, gate?: Gate): Loaders {
  const { store, bus, config } = services;
  const { db } = store;
  const loader = <V>(find: (ids: readonly string[]) => Promise<ReadonlyMap<string, V>>, absent: V) =>
    gatheredByKey<string, V>(find, absent, { gate });
  const single = <V>(load: () => Promise<V>) => gatheredOneByOne<'fleet', V>(load, { gate });
  return {
    job: loader<Job | null>(async (ids) => byId(await findJobs(db, viewer, ids)), null),
    instance: loader<Instance | null>(async (ids) => byId(await findInstances(db, ids)), null),
    upload: loader<StoredUpload | null>(async (ids) => byId(await findUploads(db, viewer, ids)), null),
    output: loader<Output | null>(async (ids) => byId(await findOutputs(db, viewer, ids)), null),
    attempts: loader<readonly Attempt[]>((ids) => attemptsOfJobs(db, viewer, ids), []),
    events: gathered((cursors) => eventsAfterEach(db, viewer, cursors, EVENTS_PAGE), { gate }),
    outputs: loader<readonly Output[]>((ids) => outputsOfJobs(db, viewer, ids), []),
    latest: gatheredByKey<string, Latest>((ids) => bus.latest(ids), NOTHING_LIVE, {}),
    place: gathered((jobs) => places.standings(jobs), { gate }),
    blockedBy: loader<string | null>((keys) => blockedReasons(db, keys), null),
    jobPage: gatheredOneByOne((request) => pageJobs(db, viewer, request), { gate }),
    changes: gatheredOneByOne(
      ({ kind, filter, after, limit }) => {
        const read = kind === 'waiting' ? waitingSince : endedSince;
        return read(db, viewer, filter, after, limit);
      },
      { gate },
    ),
    instanceJobs: gathered((keys) => pagesOf(db, viewer, keys), { gate }),
    instanceJobCount: loader<number>((ids) => countJobsOfInstances(db, viewer, ids), 0),
    running: loader<number>((ids) => openAttemptCounts(db, ids), 0),
    throughput: single(() => readThroughput(db, config)),
    fleet: single(() => listInstances(db)),
    queue: single(() => readQueueStatus(services, places)),
    equipped: single(() => equippedFleet(store)),
  };
}

async function readThroughput(db: Db, { maxConcurrentJobs }: Config): Promise<Throughput> {
  const [counts, instances, mean] = [await queueCounts(db), await listInstances(db), await meanRunMs(db)];
  const capacity = fleetCapacity(instances, maxConcurrentJobs);
  return { meanRunMs: mean, capacity, running: counts.processing };
}
