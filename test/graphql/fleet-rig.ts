/** Replicas of one fleet without a scheduler: one store, a Redis bus each, and the recorder to play the leader with. */
import { randomUUID } from 'node:crypto';
import { parseConfig } from '../../src/config.ts';
import type { Job } from '../../src/domain/job.ts';
import { defaultViewer } from '../../src/domain/viewer.ts';
import type { RedisBus } from '../../src/events/redis-bus.ts';
import { createContextFactory, type GraphqlContext } from '../../src/graphql/context.ts';
import type { Services } from '../../src/graphql/services.ts';
import { createRecorder, type Recorder } from '../../src/jobs/recorder.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { upsertConfigured } from '../../src/store/instances.ts';
import { Fleet, type FleetOptions } from '../events/redis-rig.ts';
import { newJob } from '../support/new-job.ts';
import { type EngineName, openTempStore, type TempStore } from '../support/temp-store.ts';

export const TERM = 1;
const logger = createLogger('silent');

export interface Replica {
  readonly bus: RedisBus;
  readonly recorder: Recorder;
  readonly context: GraphqlContext;
}

export class FleetRig {
  readonly #temp: TempStore;
  readonly #fleet: Fleet;
  readonly #shutdown = new AbortController();
  #slot = 0;

  private constructor(temp: TempStore, fleet: Fleet) {
    this.#temp = temp;
    this.#fleet = fleet;
  }

  static async open(engine: EngineName, options: FleetOptions = {}): Promise<FleetRig> {
    const temp = await openTempStore(engine);
    const configured = { id: 'gpu', name: 'gpu', url: 'http://127.0.0.1:1', capacity: 1000 };
    await upsertConfigured(temp.store.db, configured, Date.now());
    return new FleetRig(temp, new Fleet(options));
  }

  async replica(options: FleetOptions = {}): Promise<Replica> {
    const bus = await this.#fleet.started(options);
    const { store } = this.#temp;
    const recorder = createRecorder({ store, bus, clock: systemClock, ids: randomUUID, logger });
    const services = { store, bus, recorder, clock: systemClock, logger, config: parseConfig({}) };
    const context = createContextFactory(services as unknown as Services, this.#shutdown.signal);
    return { bus, recorder, context: context({ requestId: 'test', origin: 'http://test' }) };
  }

  async queue({ recorder }: Replica): Promise<Job> {
    const result = await recorder.queue(defaultViewer, newJob(randomUUID()));
    if (result.kind !== 'queued') throw new Error(result.kind);
    return result.job;
  }

  /** Gives it an attempt, which runs. */
  async run({ recorder }: Replica, job: Job): Promise<{ readonly attemptId: string; readonly seq: number }> {
    const attemptId = randomUUID();
    const assigned = await recorder.assign({
      jobId: job.id,
      attemptId,
      instanceId: 'gpu',
      instanceName: 'gpu',
      slot: this.#slot++,
      term: TERM,
      deadlineAt: Date.now() + 300_000,
    });
    if (!assigned) throw new Error('not assigned');
    await recorder.running(attemptId, TERM);
    return { attemptId, seq: assigned.job.seq };
  }

  async close(): Promise<void> {
    this.#shutdown.abort();
    await this.#fleet.stop();
    await this.#temp.close();
  }
}
