import { createClient as createSseClient } from 'graphql-sse';
import { afterEach, describe, expect, it } from 'vitest';
import type { MetricFact } from '../../src/domain/metric-fact.ts';
import { defaultViewer } from '../../src/domain/viewer.ts';
import { globalId } from '../../src/graphql/global-id.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { removeInstance } from '../../src/store/instances.ts';
import { addUsage } from '../../src/store/metric-usage.ts';
import { foldFacts } from '../support/fold-facts.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { putJob } from '../support/job-rows.ts';
import { socketClient, watch } from '../support/watch.ts';

const MINUTE = 60_000;
const METRICS = `query ($from: TimeInput = "now-1h", $to: TimeInput = "now") { metrics(from: $from, to: $to) {
  id at persistedAt uptimeMs instancesTotal instancesHealthy queueDepth running totalProcessed successRate jobsPerHour
  queueTimeMs { avg p50 p90 p95 p99 } durationMs { avg p50 p90 p95 p99 }
  byInstance { instance { id name removedAt } instanceName completed failed successRate utilization durationMs { avg p95 } }
  byWorkflow { workflow completed failed successRate durationMs { avg p50 } }
  errors { code count rate instance workflow lastAt lastMessage }
  recentFailures(first: 2) { id status } } }`;
const WATCH =
  'subscription ($ms: Float = 2000) { metrics(intervalMs: $ms) { id at queueDepth totalProcessed durationMs { id p50 } } }';

interface Seen {
  readonly id: string;
  readonly at: string;
  readonly queueDepth: number;
}

let gateway: TestGateway;
afterEach(() => gateway.stop());

async function metrics(variables: object = {}): Promise<Record<string, unknown>> {
  const { data, errors } = await gateway.query(METRICS, variables);
  expect(errors).toBeUndefined();
  return (data as unknown as { metrics: Record<string, unknown> }).metrics;
}

const codeOf = async (query: string): Promise<unknown> =>
  (await gateway.query(query)).errors?.[0]?.extensions?.code;

const { tenant } = defaultViewer;
type Ended = Extract<MetricFact, { kind: 'ended' }>;
const ended = (at: number, instanceId: string | null, more: Partial<Ended>): Ended => ({
  ...{ kind: 'ended', tenant, workflow: 'draw', status: 'COMPLETED', code: null, message: null, runMs: 0 },
  ...{ at, instanceId, ...more },
});

describe('metrics', () => {
  it('are nulls and zeros on a gateway to which nothing has happened', async () => {
    gateway = await startGateway();
    const nothing = { avg: null, p50: null, p90: null, p95: null, p99: null };
    expect(await metrics()).toMatchObject({
      ...{ persistedAt: null, instancesTotal: 0, instancesHealthy: 0, queueDepth: 0, running: 0 },
      ...{ totalProcessed: 0, successRate: null, jobsPerHour: 0, queueTimeMs: nothing, durationMs: nothing },
      ...{ byInstance: [], byWorkflow: [], errors: [], recentFailures: [] },
    });
  });

  it('say how the fleet is and how it did', async () => {
    gateway = await startGateway();
    const works = await gateway.addInstance('works');
    const gone = await gateway.addInstance('gone');
    await gateway.addInstance('down', { health: 'UNHEALTHY' });
    await removeInstance(gateway.store.db, gone.id, Date.now());
    await gateway.addJob();
    await putJob(gateway.store.db, { id: 'runs', tenant, status: 'PROCESSING' });
    const at = Date.now() - 10 * MINUTE;
    const draws = [1000, 2000, 3000].map((runMs) => ended(at, works.id, { runMs }));
    const failed = { status: 'FAILED', code: 'NODE_FAILED', message: 'a node failed' } as const;
    await foldFacts(gateway.store, systemClock, [
      ...draws,
      ended(at, gone.id, { ...failed, workflow: 'upscale' }),
      ended(at - 5 * 60 * MINUTE, works.id, { runMs: 60_000 }),
      { kind: 'started', at, tenant, workflow: 'draw', instanceId: works.id, queueMs: 250 },
      {
        ...{ kind: 'attempt-ended', at, tenant, workflow: 'draw', instanceId: works.id },
        ...{ outcome: 'SUCCEEDED', code: null, runMs: 6 * MINUTE, counted: true },
      },
    ]);
    for (const [n, id] of ['old', 'newer', 'last'].entries())
      await putJob(gateway.store.db, { id, tenant, status: 'FAILED', finishedAt: at + n });
    const seen = await metrics();
    expect(seen).toMatchObject({
      ...{ instancesTotal: 2, instancesHealthy: 1, queueDepth: 1, running: 1 },
      ...{ totalProcessed: 5, successRate: 0.75 },
      queueTimeMs: { avg: 250, p50: 250, p99: 250 },
      durationMs: { avg: 2000, p99: 3000 },
      byInstance: [
        { instanceName: 'down', completed: 0, failed: 0, successRate: null, utilization: 0 },
        {
          instance: { id: globalId('Instance', gone.id), removedAt: expect.any(String) },
          ...{ instanceName: 'gone', completed: 0, failed: 1, successRate: 0, durationMs: { avg: null } },
        },
        {
          instance: { id: globalId('Instance', works.id), name: 'works', removedAt: null },
          ...{ instanceName: 'works', completed: 3, failed: 0, successRate: 1 },
          ...{ utilization: expect.closeTo(0.1, 2), durationMs: { avg: 2000, p95: 3000 } },
        },
      ],
      byWorkflow: [
        { workflow: 'draw', completed: 3, failed: 0, successRate: 1, durationMs: { avg: 2000 } },
        { workflow: 'upscale', completed: 0, failed: 1, successRate: 0, durationMs: { p50: null } },
      ],
      errors: [
        {
          ...{ code: 'NODE_FAILED', count: 1, rate: 0.25, instance: 'gone', workflow: 'upscale' },
          ...{ lastAt: new Date(at).toISOString(), lastMessage: 'a node failed' },
        },
      ],
      recentFailures: ['last', 'newer'].map((id) => ({ id: globalId('Job', id), status: 'FAILED' })),
    });
    expect(seen.jobsPerHour).toBeCloseTo(4, 1);
    expect(Date.parse(String(seen.persistedAt))).toBeGreaterThan(at);
    expect(seen.uptimeMs).toBeGreaterThan(0);
    const past = await metrics({ from: at - 6 * 60 * MINUTE, to: String(at - 60 * MINUTE) });
    expect(past).toMatchObject({ totalProcessed: 5, durationMs: { avg: 60_000 }, errors: [] });
  });

  it('of the last hour are one object for clients, however they ask, and those of another range another', async () => {
    gateway = await startGateway();
    const { id } = await metrics();
    expect((await metrics({ from: 'now-60m' })).id).toBe(id);
    expect((await metrics({ from: 'now-2h' })).id).not.toBe(id);
    const client = socketClient(gateway.socketUrl);
    expect((await watch<Seen>(client, WATCH).until(() => true)).id).toBe(id);
    await client.dispose();
  });

  it.each([
    ['{ metrics(from: "now") { id } }'],
    ['{ metrics(from: "now", to: "now-1h") { id } }'],
    ['{ metrics(from: 4102444800000, to: 4102448400000) { id } }'],
    ['{ metrics(from: "yesterday") { id } }'],
    ['{ metrics { recentFailures(first: 0) { id } } }'],
    ['{ metrics { recentFailures(first: 101) { id } } }'],
    ['{ usage(from: "now", to: "now-1h") { day } }'],
  ])('refuse %s', async (query) => {
    gateway = await startGateway();
    expect(await codeOf(query)).toBe('BAD_USER_INPUT');
  });

  it('cost as many store queries for many instances as for one, and none for what is not asked for', async () => {
    gateway = await startGateway();
    const count = async (query: string): Promise<number> => {
      const seen: string[] = [];
      const stop = gateway.store.onQuery((sql) => seen.push(sql));
      expect((await gateway.query(query)).errors).toBeUndefined();
      stop();
      return seen.length;
    };
    const query = '{ metrics { byInstance { instance { id } utilization durationMs { p95 } } } }';
    await gateway.addInstance('one');
    const one = await count(query);
    for (const name of ['two', 'three', 'four']) await gateway.addInstance(name);
    expect(await count(query)).toBe(one);
    expect(await count('{ metrics { id at uptimeMs } }')).toBe(0);
    expect(await count('{ metrics { queueDepth running } }')).toBe(1);
  });
});

describe('subscription metrics', () => {
  it('sends a row at once and then at every interval, over WebSocket and as server-sent events', async () => {
    gateway = await startGateway();
    const client = socketClient(gateway.socketUrl);
    const events = createSseClient({ url: gateway.graphqlUrl, fetchFn: fetch, retryAttempts: 0 });
    const seen = watch<Seen>(client, WATCH, { ms: 500 });
    const streamed = events.iterate<{ metrics: Seen }>({ query: WATCH, variables: { ms: 500 } });
    const first = await streamed.next();
    expect(first.value?.data?.metrics.queueDepth).toBe(0);
    await seen.until(({ queueDepth }) => queueDepth === 0);
    const job = await gateway.addJob();
    await seen.until(({ queueDepth }) => queueDepth === 1);
    await gateway.recorder.cancel(defaultViewer, job.id);
    await seen.until((row) => row !== seen.values[0] && row.queueDepth === 0);
    const second = await streamed.next();
    expect(Date.parse(second.value?.data?.metrics.at ?? '')).toBeGreaterThan(
      Date.parse(first.value?.data?.metrics.at ?? ''),
    );
    expect(seen.errors).toEqual([]);
    await streamed.return?.();
    events.dispose();
    await client.dispose();
  });

  it.each([0, 499, 60_001, -1])('refuses an interval of %s ms', async (ms) => {
    gateway = await startGateway();
    const client = socketClient(gateway.socketUrl);
    const seen = watch<Seen>(client, WATCH, { ms });
    await seen.ended();
    expect(seen.errors[0]?.extensions?.code).toBe('BAD_USER_INPUT');
    await client.dispose();
  });
});

describe('usage', () => {
  const USAGE =
    'query ($from: TimeInput = "now-30d", $to: TimeInput = "now") { usage(from: $from, to: $to) { id day tenant workflow jobs gpuSeconds countedGpuSeconds cost } }';
  const day = (n: number): number => Date.UTC(2026, 0, n);
  const ran = (at: number, runMs: number, counted: boolean, workflow = 'draw'): MetricFact => ({
    ...{ kind: 'attempt-ended', at, tenant, workflow, instanceId: 'gpu', outcome: 'SUCCEEDED', code: null },
    ...{ runMs, counted },
  });

  it('sums up the GPU time of each day, tenant and workflow, and what it cost', async () => {
    gateway = await startGateway({ GPU_SECOND_PRICE: '0.002' });
    const noon = day(10) + 12 * 60 * MINUTE;
    await foldFacts(gateway.store, systemClock, [
      ended(noon, 'gpu', {}),
      ended(noon, 'gpu', { status: 'CANCELED' }),
      ran(noon, 10_000, true),
      ran(noon, 5000, false),
      ran(noon, 1000, true, 'upscale'),
      // one second of it after midnight
      ran(day(11) + 1000, 4000, true),
      ran(day(12) + MINUTE, MINUTE, true, 'other'),
    ]);
    const ask = async (from: number, to: number): Promise<unknown[]> => {
      const { data, errors } = await gateway.query(USAGE, { from, to });
      expect(errors).toBeUndefined();
      return (data as unknown as { usage: unknown[] }).usage;
    };
    const row = (n: number, workflow: string, jobs: number, gpuSeconds: number, counted: number) => ({
      ...{ id: expect.any(String), day: new Date(day(n)).toISOString(), tenant, workflow, jobs, gpuSeconds },
      ...{ countedGpuSeconds: counted, cost: expect.closeTo(gpuSeconds * 0.002, 9) },
    });
    const whole = [row(10, 'draw', 2, 18, 13), row(10, 'upscale', 0, 1, 1), row(11, 'draw', 0, 1, 1)];
    expect(await ask(noon + 1, day(11) + 1)).toEqual(whole);
    expect(await ask(noon, day(11))).toEqual(whole.slice(0, 2));
    expect(await ask(day(1), day(9))).toEqual([]);
  });

  it('asks for fewer days where there are very many rows', async () => {
    gateway = await startGateway();
    const rows = Array.from({ length: 10_001 }, (_, n) => ({
      ...{ day: day(1 + (n % 2)), tenant, workflow: `w${n}`, jobs: 1, gpu_ms: 0, counted_gpu_ms: 0 },
    }));
    await gateway.store.transaction((tx) => addUsage(tx, rows));
    const ask = (to: number): string => `{ usage(from: ${day(1)}, to: ${to}) { jobs } }`;
    expect(await codeOf(ask(day(3)))).toBe('BAD_USER_INPUT');
    expect(await codeOf(ask(day(2)))).toBeUndefined();
  });

  it('costs nothing that is known without a price', async () => {
    gateway = await startGateway();
    await foldFacts(gateway.store, systemClock, [ran(Date.now() - MINUTE, 1000, true)]);
    const { data } = await gateway.query('{ usage { cost gpuSeconds } }');
    const rows = (data as unknown as { usage: { cost: number | null }[] }).usage;
    expect(rows.map(({ cost }) => cost)).toContain(null);
  });
});
