/** A gateway without a scheduler: real store, bus, storage and HTTP server; tests play the scheduler through the recorder. */

import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DestinationStream } from 'pino';
import { parseConfig } from '../../src/config.ts';
import { needsKey, needsOf } from '../../src/domain/capabilities.ts';
import type { Graph } from '../../src/domain/graph.ts';
import type { Instance } from '../../src/domain/instance.ts';
import type { Job } from '../../src/domain/job.ts';
import { sameForAll } from '../../src/domain/tenant-limits.ts';
import { defaultViewer } from '../../src/domain/viewer.ts';
import { MemoryBus } from '../../src/events/memory-bus.ts';
import { createFleetWriter } from '../../src/fleet/fleet-writer.ts';
import { globalId } from '../../src/graphql/global-id.ts';
import { createHealthReporter } from '../../src/graphql/health-report.ts';
import type { ConnectionLimits } from '../../src/http/limits.ts';
import type { HttpParts } from '../../src/http/parts.ts';
import { createHttpServer, type HttpServer } from '../../src/http/server.ts';
import { createRecorder, type Recorder } from '../../src/jobs/recorder.ts';
import { createRetention } from '../../src/jobs/retention.ts';
import { createSubmitter } from '../../src/jobs/submit.ts';
import { createUploads } from '../../src/jobs/uploads.ts';
import { createWaiter } from '../../src/jobs/waiter.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { startAll, stopAll } from '../../src/lib/service.ts';
import { DiskStore } from '../../src/storage/disk-store.ts';
import { signingKey, UrlSigner } from '../../src/storage/signed-url.ts';
import { saveHealth, upsertConfigured } from '../../src/store/instances.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { loadWorkflows } from '../../src/workflows/registry.ts';

export interface Answer {
  readonly data?: Record<string, never> | null;
  readonly errors?: {
    message: string;
    path?: string[];
    extensions?: { code?: string; requestId?: string };
  }[];
}

export interface TestGateway {
  readonly url: string;
  readonly graphqlUrl: string;
  readonly socketUrl: string;
  readonly store: Store;
  readonly bus: MemoryBus;
  readonly storage: DiskStore;
  readonly recorder: Recorder;
  readonly http: HttpServer;
  readonly signer: UrlSigner;
  /** Lines of the log, parsed. */
  readonly logs: Record<string, unknown>[];
  query(query: string, variables?: object, headers?: Record<string, string>): Promise<Answer>;
  addInstance(name: string, patch?: Parameters<typeof saveHealth>[2]): Promise<Instance>;
  /** A job of a raw graph, as submit would write it. */
  addJob(extra?: Partial<Parameters<Recorder['queue']>[1]>): Promise<Job>;
  /** Gives the job to the instance; the run can then be driven through the recorder. */
  assign(jobId: string, instance: Instance, slot?: number): Promise<string>;
  /** Stores a picture and writes it down as an output of the running attempt. */
  addOutput(attemptId: string, bytes: Uint8Array, extra?: object): Promise<string>;
  stop(): Promise<void>;
}

export const GRAPH: Graph = {
  '1': { class_type: 'LoadImage', inputs: { image: 'a.png' } },
  '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'out' } },
};
export const TERM = 1;

export async function startGateway(
  env: Record<string, string> = {},
  options: {
    readonly schedulerHealthy?: () => boolean;
    readonly limits?: Partial<ConnectionLimits>;
    readonly observer?: HttpParts['observer'];
    readonly tracer?: HttpParts['tracer'];
  } = {},
): Promise<TestGateway> {
  const dataDir = await mkdtemp(join(tmpdir(), 'gateway-'));
  const config = parseConfig({ PORT: '0', DATA_DIR: dataDir, DATABASE_SYNCHRONOUS: 'NORMAL', ...env });
  const logs: Record<string, unknown>[] = [];
  const sink: DestinationStream = { write: (line: string) => void logs.push(JSON.parse(line)) };
  const logger = createLogger('debug', sink);
  const clock = systemClock;
  const startedAt = clock.monotonic();
  const ids = randomUUID;
  const { databaseUrl: url, databasePoolMax: poolMax } = config;
  const store = await openStore({ url, dataDir, synchronous: 'NORMAL', poolMax, logger });
  const bus = new MemoryBus();
  const storage = new DiskStore({ root: join(dataDir, 'files'), clock });
  const workflows = loadWorkflows(new URL('../../workflows', import.meta.url).pathname);
  const uptimeMs = (): number => clock.monotonic() - startedAt;
  const ground = { config, logger, clock, ids, random: Math.random, uptimeMs, store, bus, storage };
  const recorder = createRecorder(ground);
  const uploads = createUploads({ ...ground, limits: config });
  const signer = new UrlSigner([signingKey('a key for tests')], config.fileUrlTtlMs);
  const retention = createRetention({
    ...ground,
    recorder,
    retentionMs: config.jobRetentionMs,
    intervalMs: config.cleanupIntervalMs,
  });
  const http = createHttpServer({
    ...ground,
    limits: options.limits ?? {},
    tracer: options.tracer ?? null,
    ...(options.observer && { observer: options.observer }),
    recorder,
    uploads,
    submitter: createSubmitter({
      ...ground,
      recorder,
      uploads,
      workflows: () => workflows,
      limitsOf: sameForAll,
    }),
    retention,
    fleet: createFleetWriter(ground),
    waiter: createWaiter(ground),
    workflows: () => workflows,
    health: createHealthReporter({ ...ground, version: '0.0.0-test', ...options }),
    signer,
  });
  const services = [store, bus, storage, http];
  await startAll(services);
  const graphqlUrl = `${http.url}/graphql`;
  return {
    url: http.url,
    graphqlUrl,
    socketUrl: graphqlUrl.replace('http', 'ws'),
    store,
    bus,
    storage,
    recorder,
    http,
    signer,
    logs,
    async query(query, variables = {}, headers = {}) {
      const response = await fetch(graphqlUrl, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ query, variables }),
      });
      return (await response.json()) as Answer;
    },
    async addInstance(name, patch = {}) {
      const configured = { id: ids(), name, url: `http://127.0.0.1/${name}`, capacity: 1 };
      const instance = await upsertConfigured(store.db, configured, clock.now());
      await saveHealth(store.db, instance.id, { health: 'HEALTHY', ...patch }, clock.now());
      bus.publish({ kind: 'instance', instanceId: instance.id, at: clock.now() });
      return instance;
    },
    async addJob(extra = {}) {
      const needs = needsOf(GRAPH);
      const result = await recorder.queue(defaultViewer, {
        id: ids(),
        workflow: 'raw',
        inputs: {},
        graph: GRAPH,
        files: [],
        needs,
        needsKey: needsKey(needs),
        priority: 5,
        labels: {},
        timeoutMs: 300_000,
        deadlineAt: null,
        maxAttempts: 3,
        retryOf: null,
        ...extra,
      });
      if (result.kind !== 'queued') throw new Error(`not queued: ${result.kind}`);
      return result.job;
    },
    async assign(jobId, instance, slot = 0) {
      const attemptId = ids();
      const assigned = await recorder.assign({
        jobId,
        attemptId,
        instanceId: instance.id,
        instanceName: instance.name,
        slot,
        term: TERM,
        deadlineAt: clock.now() + 300_000,
      });
      if (!assigned) throw new Error('not assigned');
      await recorder.running(attemptId, TERM);
      return attemptId;
    },
    async addOutput(attemptId, bytes, extra = {}) {
      const put = await storage.put(defaultViewer.tenant, [bytes], { maxBytes: 10_000_000 });
      if (!put.stored) throw new Error(put.reason);
      const output = await recorder.output(attemptId, TERM, {
        node: '2',
        ordinal: 0,
        kind: 'image',
        mimeType: 'image/png',
        filename: 'out_00001_.png',
        sha256: put.sha256,
        bytes: put.bytes,
        width: 4,
        height: 4,
        text: null,
        temporary: false,
        ...extra,
      });
      put.pin.release();
      if (!output) throw new Error('no output');
      const type =
        output.kind === 'image' ? 'ImageOutput' : output.kind === 'file' ? 'FileOutput' : 'TextOutput';
      return globalId(type, output.id);
    },
    async stop() {
      await stopAll(services);
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
