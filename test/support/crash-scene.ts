/**
 * A gateway over many lives on one data folder, each of which may end at a crash point, and the instance it works with,
 * which lives on. Remembers what clients were promised and what they heard, for the judgement at the end.
 */
import assert from 'node:assert/strict';
import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { GatewayProgram, Ground } from '../../chaos/processes.ts';
import { defaultViewer } from '../../src/domain/viewer.ts';
import { decodeGlobalId } from '../../src/graphql/global-id.ts';
import type { ExecutionRecord } from '../../src/simulator/run-log.ts';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';
import { isReferenced } from '../../src/store/blobs.ts';
import { EventWatch } from './event-watch.ts';
import { eventually } from './eventually.ts';
import { assertFiguresAddUp } from './figures-add-up.ts';
import { TestClient } from './graphql-client.ts';
import { assertHistory, withStoreOf } from './history-checker.ts';
import type { JobView } from './jobs.ts';

/** What is found out by asking comes soon; what counts as lost is lost late enough for a machine that is busy. */
const SETTING = {
  PROBE_INTERVAL_MS: '100',
  PROBE_TIMEOUT_MS: '1000',
  RECONCILE_INTERVAL_MS: '300',
  SUBMIT_GRACE_MS: '400',
  REFUSED_LOST_MS: '3000',
  UNREACHABLE_LOST_MS: '3000',
  BREAKER_OPEN_MS: '100',
  CLEANUP_INTERVAL_MS: '300',
};

export class CrashScene {
  readonly instance: Simulator;
  readonly gateway: GatewayProgram;
  /** Where this life crashes. */
  armedAt: string | undefined;
  readonly #promised = new Set<string>();
  readonly #deleted = new Set<string>();
  readonly #watches = new Map<string, EventWatch>();
  #client: TestClient | undefined;
  #serial = 0;

  private constructor(gateway: GatewayProgram, instance: Simulator) {
    this.gateway = gateway;
    this.instance = instance;
  }

  /** `name` tells the scenes of one ground apart, and seeds the instance. */
  static async open(ground: Ground, name: string): Promise<CrashScene> {
    const instance = await startSimulator({ seed: name, stepMs: 0, nodeMs: 0, modelLoadMs: 0 });
    const gateway = await ground.gateway([{ name: 'gpu1', url: instance.url }], SETTING, name);
    return new CrashScene(gateway, instance);
  }

  /** Of the present life. */
  get client(): TestClient {
    assert(this.#client, 'the gateway lives');
    return this.#client;
  }

  /** A number that is new each time. */
  next(): number {
    this.#serial += 1;
    return this.#serial;
  }

  /** Begins a life, which is to end at the crash point if there is one. Resolves when it serves. */
  async start(crashAt?: string): Promise<void> {
    this.armedAt = crashAt;
    await this.gateway.start(crashAt === undefined ? {} : { CRASH_AT: crashAt });
    this.#client = new TestClient(this.gateway.url);
    for (const watch of this.#watches.values()) watch.listen(this.#client);
  }

  /** Begins a life that ends before it serves. */
  launch(crashAt: string): void {
    this.armedAt = crashAt;
    this.gateway.launch({ CRASH_AT: crashAt });
  }

  /** Resolves once the crash point has ended this life. @throws when it ends otherwise, or not at all. */
  async died(): Promise<void> {
    const what = `${this.armedAt} is reached`;
    await eventually(() => !this.gateway.running, { withinMs: 40_000, what });
    assert.equal(await this.gateway.ended(), 'SIGKILL');
    await this.#leave();
  }

  /** Ends this life from outside. */
  async kill(): Promise<void> {
    await this.gateway.end('SIGKILL');
    await this.#leave();
  }

  /** A client was told that the job is there; it listens to the job's events from now on, over all lives. */
  promise(jobId: string): void {
    if (this.#promised.has(jobId)) return;
    this.#promised.add(jobId);
    const watch = new EventWatch(jobId);
    this.#watches.set(jobId, watch);
    if (this.#client && this.gateway.running) watch.listen(this.#client);
  }

  /** The client that listens has heard of the job's end. */
  async heardEnd(jobId: string): Promise<void> {
    const watch = this.#watches.get(jobId);
    await eventually(() => watch?.ended, { withinMs: 20_000, what: `the end of ${jobId} is heard` });
  }

  /** A client was told that the job is gone. */
  forget(jobId: string): void {
    this.#deleted.add(jobId);
  }

  runsOf(job: Pick<JobView, 'attempts'>): ExecutionRecord[] {
    const own = new Set(job.attempts.map(({ promptId }) => promptId));
    return this.instance.control.executions().filter(({ promptId }) => own.has(promptId));
  }

  /** Whether the file is in storage. */
  async isStored(sha256: string): Promise<boolean> {
    return (await this.#stored()).some((path) => path.endsWith(sha256));
  }

  /** The file has been in storage for two days, as far as anybody can tell. */
  async age(sha256: string): Promise<void> {
    const then = new Date(Date.now() - 2 * 86_400_000);
    for (const path of await this.#stored()) if (path.endsWith(sha256)) await utimes(path, then, then);
  }

  async #stored(): Promise<string[]> {
    const root = join(this.gateway.dataDir, 'files', 'blobs');
    const found = await readdir(root, { recursive: true });
    return found.filter((path) => /[0-9a-f]{64}$/.test(path)).map((path) => join(root, path));
  }

  /** Half-written files. */
  staged(): Promise<string[]> {
    return readdir(join(this.gateway.dataDir, 'files', 'staging'));
  }

  /** Ends the gateway in peace and judges its history. */
  async judge(): Promise<void> {
    assert.equal(await this.gateway.end('SIGTERM'), 0);
    await this.#leave();
    const { control } = this.instance;
    await withStoreOf(this.gateway.dataDir, async (db) => {
      await assertHistory(db, {
        instances: [{ name: 'gpu1', prompts: control.prompts(), executions: control.executions() }],
        acknowledged: [...this.#promised].filter((id) => !this.#deleted.has(id)).map(bare),
        deleted: [...this.#deleted].map(bare),
        subscribers: [...this.#watches.values()].map((watch) => watch.log()),
      });
      await assertFiguresAddUp(db, this.#deleted.size);
      for (const path of await this.#stored()) {
        const blob = { tenant: defaultViewer.tenant, sha256: path.slice(-64) };
        assert(await isReferenced(db, blob), `${path} is named by a row`);
      }
    });
  }

  /** Ends gateway and instance; its folder goes with the ground. */
  async close(): Promise<void> {
    await this.kill();
    await this.instance.stop();
  }

  async #leave(): Promise<void> {
    await this.#client?.close();
    this.#client = undefined;
    await Promise.all([...this.#watches.values()].map((watch) => watch.left()));
  }
}

const bare = (id: string): string => decodeGlobalId(id)?.id ?? id;
