/**
 * Submits jobs of any tenant to a cluster, as a replica of it does: through a recorder on the same database and bus. Over
 * HTTP everybody is one tenant until it is known who asks.
 */
import { needsKey, needsOf } from '../src/domain/capabilities.ts';
import type { Graph } from '../src/domain/graph.ts';
import { createBus } from '../src/events/create-bus.ts';
import { createRecorder, type Recorder } from '../src/jobs/recorder.ts';
import { systemClock } from '../src/lib/clock.ts';
import { createIds } from '../src/lib/ids.ts';
import { createLogger } from '../src/lib/logger.ts';
import { openStore } from '../src/store/open.ts';
import { createStoreClock } from '../src/store/store-clock.ts';
import { newJob } from '../test/support/new-job.ts';
import type { Cluster } from './cluster/cluster.ts';
import { inLanes } from './load.ts';

const AT_ONCE = 8;

export class TenantQueue {
  /** Ids of all jobs that were taken. */
  readonly acknowledged: string[] = [];
  readonly #recorder: Recorder;
  readonly #ids: () => string;

  constructor(recorder: Recorder, ids: () => string) {
    this.#recorder = recorder;
    this.#ids = ids;
  }

  /** One job of each of these tenants, in this order as far as they can be told apart; answers the ids in it. */
  async submit(tenants: readonly string[], graph: (salt: number) => Graph): Promise<string[]> {
    const ids = tenants.map(() => this.#ids());
    await inLanes(tenants.length, AT_ONCE, async (n) => {
      const [id = '', tenant = ''] = [ids[n], tenants[n]];
      const made = graph(this.acknowledged.length);
      const needs = needsOf(made);
      const job = newJob(id, { workflow: 'graph', graph: made, needs, needsKey: needsKey(needs) });
      const { kind } = await this.#recorder.queue({ tenant, user: null }, job);
      if (kind !== 'queued') throw new Error(`a job was not taken: ${kind}`);
      this.acknowledged.push(id);
    });
    return ids;
  }
}

export async function withTenantQueue<T>(
  { postgres, redis, ground }: Cluster,
  work: (queue: TenantQueue) => Promise<T>,
): Promise<T> {
  const logger = createLogger('silent');
  const store = await openStore({ url: postgres.url, dataDir: ground.folder, logger });
  const clock = await createStoreClock(store, systemClock, logger);
  const ids = createIds(clock);
  const parts = { store, clock, ids, logger, random: Math.random };
  const bus = createBus({ databaseUrl: postgres.url, redisUrl: redis.url, redisPrefix: 'comfyfleet' }, parts);
  await clock.start();
  await bus.start();
  try {
    return await work(new TenantQueue(createRecorder({ ...parts, bus }), ids));
  } finally {
    await bus.stop();
    await clock.stop();
    await store.stop();
  }
}
