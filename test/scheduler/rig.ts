/** A scheduler with everything real below it: simulated instances, a store, files on disk, the memory bus. */

import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Config, parseConfig } from '../../src/config.ts';
import { needsKey, needsOf } from '../../src/domain/capabilities.ts';
import { fileRefsOf } from '../../src/domain/file-refs.ts';
import type { Graph } from '../../src/domain/graph.ts';
import type { Job } from '../../src/domain/job.ts';
import { hasEnded } from '../../src/domain/job-states.ts';
import type { Output } from '../../src/domain/output.ts';
import { sameForAll } from '../../src/domain/tenant-limits.ts';
import { defaultViewer } from '../../src/domain/viewer.ts';
import type { BusSignal } from '../../src/events/bus.ts';
import { MemoryBus } from '../../src/events/memory-bus.ts';
import { jobTopic } from '../../src/events/topics.ts';
import { createFleet, type Fleet } from '../../src/fleet/fleet.ts';
import type { NewJob } from '../../src/jobs/queue-writer.ts';
import { createRecorder, type Recorder } from '../../src/jobs/recorder.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { createIds } from '../../src/lib/ids.ts';
import { isObject } from '../../src/lib/json.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { createScheduler, type Scheduler } from '../../src/scheduler/scheduler.ts';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../src/simulator/simulator.ts';
import type { BlobStore } from '../../src/storage/blob-store.ts';
import { DiskStore } from '../../src/storage/disk-store.ts';
import { attemptsOfJobs, openAttempts } from '../../src/store/attempts.ts';
import { findJob } from '../../src/store/jobs.ts';
import type { Store } from '../../src/store/open.ts';
import { outputsOfJobs } from '../../src/store/outputs.ts';
import { eventually } from '../support/eventually.ts';
import type { Evidence } from '../support/history/evidence.ts';
import { assertHistory } from '../support/history-checker.ts';
import { nameFiles } from '../support/named-files.ts';
import { newJob } from '../support/new-job.ts';
import { type EngineName, openTempStore, type TempStore } from '../support/temp-store.ts';

/** As in production: jobs of one millisecond keep their order. */
const ids = createIds(systemClock);

export interface RigOptions {
  /** One per instance. */
  readonly simulators?: readonly SimulatorOptions[];
  /** Addresses besides the simulators. */
  readonly urls?: readonly string[];
  readonly config?: Partial<Config>;
  /** What the gateway stores its files through; default: the disk itself. */
  readonly wrapStorage?: (disk: DiskStore) => BlobStore;
  /** Prompts at once on each instance; default 1. */
  readonly capacity?: number;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Default SQLite. On Postgres another process has a store of its own. */
  readonly engine?: EngineName;
  /** A store of the test's own, instead of one on the engine; ends with the rig. */
  readonly temp?: TempStore;
}

/** What a restart replaces: everything in memory. */
interface Process {
  readonly store: Store;
  readonly bus: MemoryBus;
  readonly recorder: Recorder;
  readonly fleet: Fleet;
  readonly scheduler: Scheduler;
}

export class Rig {
  readonly simulators: readonly Simulator[];
  readonly storage: BlobStore;
  readonly #temp: TempStore;
  readonly #config: Config;
  readonly #clock: Clock;
  #process: Process | undefined;

  private constructor(
    simulators: readonly Simulator[],
    temp: TempStore,
    config: Config,
    storage: BlobStore,
    clock: Clock,
  ) {
    this.simulators = simulators;
    this.#temp = temp;
    this.#config = config;
    this.storage = storage;
    this.#clock = clock;
  }

  static async start(options: RigOptions = {}): Promise<Rig> {
    const simulators = await Promise.all((options.simulators ?? [{}]).map((one) => startSimulator(one)));
    const temp = options.temp ?? (await openTempStore(options.engine));
    const urls = [...simulators.map((one) => one.url), ...(options.urls ?? [])];
    const parsed = parseConfig({
      COMFYUI_INSTANCES: urls.map((url, index) => `sim${index}=${url}`).join(','),
      PROBE_INTERVAL_MS: '200',
      RECONCILE_INTERVAL_MS: '300',
      SILENCE_MS: '500',
      SUBMIT_GRACE_MS: '600',
      REFUSED_LOST_MS: '700',
      UNREACHABLE_LOST_MS: '1500',
      PROBE_TIMEOUT_MS: '500',
      RETRY_BASE_MS: '20',
      RETRY_CAP_MS: '50',
      MAX_JOBS_PER_INSTANCE: String(options.capacity ?? 1),
      DATA_DIR: temp.dataDir,
    });
    const disk = new DiskStore({ root: join(temp.dataDir, 'files'), clock: systemClock });
    const storage = options.wrapStorage?.(disk) ?? disk;
    await storage.start();
    const rig = new Rig(
      simulators,
      temp,
      { ...parsed, ...options.config },
      storage,
      options.clock ?? systemClock,
    );
    await rig.boot();
    return rig;
  }

  get store(): Store {
    return this.#temp.store;
  }

  get bus(): MemoryBus {
    return this.#running.bus;
  }

  get recorder(): Recorder {
    return this.#running.recorder;
  }

  get fleet(): Fleet {
    return this.#running.fleet;
  }

  get scheduler(): Scheduler {
    return this.#running.scheduler;
  }

  get #running(): Process {
    if (!this.#process) throw new Error('the rig is shut down');
    return this.#process;
  }

  get simulator(): Simulator {
    return this.simulators[0] as Simulator;
  }

  /** Builds a gateway on the store as it is. */
  async boot(): Promise<void> {
    this.#process = this.#build(this.store, this.#clock);
    await start(this.#process);
  }

  /** A second gateway beside the first, on the same database; it ends with the test. */
  async bootAnother(): Promise<Process> {
    const store = this.#temp.url === undefined ? this.store : await this.#temp.openAnother();
    const another = this.#build(store, systemClock);
    onTestFinished(() => shutDown(another));
    await start(another);
    return another;
  }

  #build(store: Store, clock: Clock): Process {
    const logger = createLogger(process.env.RIG_LOG === undefined ? 'silent' : 'debug');
    const shared = { store, clock, ids, random: Math.random, logger };
    const bus = new MemoryBus();
    const recorder = createRecorder({ ...shared, bus });
    const fleet = createFleet({ ...shared, bus, config: this.#config });
    const { storage } = this;
    const scheduler = createScheduler({
      ...shared,
      bus,
      recorder,
      fleet,
      storage,
      config: this.#config,
      limitsOf: sameForAll,
    });
    return { store, bus, recorder, fleet, scheduler };
  }

  /** Ends the gateway's process; instances and rows stay. */
  async shutDown(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (running) await shutDown(running);
  }

  async stop(): Promise<void> {
    await this.shutDown();
    await Promise.all(this.simulators.map((one) => one.stop()));
    await this.storage.stop();
    await this.#temp.close();
  }

  async submit(graph: Graph, differences: Partial<NewJob> = {}): Promise<string> {
    const id = ids();
    const needs = needsOf(graph);
    const job = newJob(id, {
      graph,
      needs,
      needsKey: needsKey(needs),
      files: fileRefsOf(graph),
      ...differences,
    });
    await nameFiles(this.store.db, defaultViewer.tenant, job.files);
    await this.recorder.queue(defaultViewer, job);
    return id;
  }

  async job(id: string): Promise<Job> {
    const job = await findJob(this.store.db, 'any', id);
    if (!job) throw new Error('no such job');
    return job;
  }

  /** The job once it has ended. */
  ended(id: string, withinMs = 15_000): Promise<Job> {
    return eventually(
      async () => {
        const job = await this.job(id);
        return hasEnded(job.status) && job;
      },
      { withinMs, what: 'the job ends' },
    );
  }

  async outputs(id: string): Promise<Output[]> {
    return (await outputsOfJobs(this.store.db, 'any', [id])).get(id) ?? [];
  }

  async attempts(id: string) {
    return (await attemptsOfJobs(this.store.db, 'any', [id])).get(id) ?? [];
  }

  /** Everything the bus says of a job from now on. */
  async listen(jobId: string): Promise<BusSignal[]> {
    const heard: BusSignal[] = [];
    const subscription = await this.bus.subscribe([jobTopic(jobId)], { limit: 10_000 });
    void (async () => {
      for await (const signal of subscription) heard.push(signal);
    })();
    return heard;
  }

  /** Runs of all simulators, over their restarts; canaries are left out. */
  executions() {
    return this.simulators.flatMap((one) => executionsOf(one));
  }

  /** Waits until every job has ended and every instance is free, then holds all that happened against the promises. */
  async judged(differences: Partial<Evidence> = {}): Promise<void> {
    const { db } = this.store;
    await eventually(async () => (await openAttempts(db)).length === 0, { what: 'all attempts end' });
    const instances = this.simulators.map(({ control }, index) => ({
      name: `sim${index}`,
      prompts: control.prompts(),
      executions: control.executions(),
    }));
    await assertHistory(db, { instances, ...differences });
  }
}

/** Runs of one simulator, over its restarts; canaries are left out. */
export function executionsOf({ control }: Simulator) {
  const canaries = new Set(
    control
      .prompts()
      .flatMap(({ promptId, tag }) => (isObject(tag) && tag.canary === true ? [promptId] : [])),
  );
  return control.executions().filter(({ promptId }) => !canaries.has(promptId));
}

async function start({ bus, scheduler }: Process): Promise<void> {
  await bus.start();
  await scheduler.start();
}

async function shutDown({ bus, scheduler }: Process): Promise<void> {
  await scheduler.stop();
  await bus.stop();
}

/** A started rig that stops when the test ends. */
export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const rig = await Rig.start(options);
  onTestFinished(() => rig.stop());
  return rig;
}

let salt = 0;

/** A graph that takes its time in so many steps and saves a picture. */
export function sleepGraph(seconds: number, steps = 4, preview: 'none' | 'JPEG' = 'none'): Graph {
  salt++;
  return {
    '1': { class_type: 'RigSleep', inputs: { seconds, steps, preview, salt } },
    '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'test' } },
  };
}

/** A graph whose node raises. */
export function failingGraph(kind: string, message: string): Graph {
  salt++;
  return {
    '1': { class_type: 'RigRaise', inputs: { kind, message, salt } },
    '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'test' } },
  };
}
