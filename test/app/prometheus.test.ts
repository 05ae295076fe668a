import { readFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FLEET_METRICS, PREFIX, PROCESS_METRICS } from '../../src/metrics/prometheus/names.ts';
import { Cluster } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { everything } from '../support/graphql-client.ts';
import { sleepGraph } from '../support/graphs.ts';
import { act, ended, submitGraph, UPLOAD } from '../support/jobs.ts';
import { type PrometheusMetric, parsePrometheus, sampleValue } from '../support/prometheus-text.ts';
import { type RunningGateway, startGateway } from '../support/running-gateway.ts';

type Metrics = Map<string, PrometheusMetric>;

async function scrape(url: string): Promise<Metrics> {
  const answer = await fetch(`${url}/metrics`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  return parsePrometheus(await answer.text());
}

/** As soon as the figures fit: facts take up to a second into them, and answers are a second old at most. */
const scraped = (url: string, fits: (metrics: Metrics) => boolean): Promise<Metrics> =>
  eventually(
    async () => {
      const metrics = await scrape(url);
      return fits(metrics) && metrics;
    },
    { what: 'the figures of the fleet' },
  );

const of = (metrics: Metrics, name: string, labels: Record<string, string> = {}) =>
  sampleValue(metrics, `${PREFIX}${name}`, labels);

const total = (metrics: Metrics, name: string): number =>
  (metrics.get(`${PREFIX}${name}`)?.samples ?? []).reduce((sum, { value }) => sum + value, 0);

const PROMPT = 'the-secret-prompt';
const raising = (salt: number) => ({
  '1': { class_type: 'RigRaise', inputs: { kind: 'RuntimeError', message: PROMPT, salt } },
  '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'raised' } },
});

/** Three that complete, one that fails at its second attempt, one that is canceled while it runs. */
async function wave({ client }: RunningGateway, salt: number): Promise<void> {
  const graphs = [0, 1, 2].map((n) => sleepGraph({ seconds: 0.1, salt: salt + n }));
  const jobs = await Promise.all([...graphs, raising(salt)].map((graph) => submitGraph(client, graph)));
  for (const { id } of jobs) await ended(client, id);
  const long = await submitGraph(client, sleepGraph({ seconds: 60, steps: 600, salt: salt + 3 }));
  await eventually(
    async () => {
      const answer = await client.run<{ queue: { processing: number } }>('{ queue { processing } }');
      return answer.queue.processing === 1;
    },
    { what: 'it runs' },
  );
  await act(client, 'cancelJob', long.id);
  await ended(client, long.id);
}

describe('/metrics of a gateway', () => {
  it('tells what happened, counts on after a restart, and has every metric that is documented', async () => {
    const config = { maxAttempts: 2, retryBudgetPercent: 100 };
    const gateway = await startGateway({ instances: [{}, {}], config });
    const { client, url, instances } = gateway;
    const events = client.watch('subscription { queue { id } }');
    await events.next();
    await client.upload(UPLOAD, { bytes: new Uint8Array(readFileSync('assets/orange.png')) });
    await client.ask('{ nothing }');
    await wave(gateway, 10);
    const first = await scraped(url, (metrics) => total(metrics, 'attempts_total') === 6);

    const documented = [...Object.keys(FLEET_METRICS), ...Object.keys(PROCESS_METRICS)];
    const told = [...first.keys()].filter((name) => name.startsWith(PREFIX));
    expect(told.sort()).toEqual(documented.map((name) => `${PREFIX}${name}`).sort());
    for (const name of told) expect([name, first.get(name)?.samples.length]).not.toEqual([name, 0]);

    expect(of(first, 'jobs_submitted_total', { workflow: 'raw' })).toBe(5);
    for (const [status, count] of [
      ['COMPLETED', 3],
      ['FAILED', 1],
      ['CANCELED', 1],
    ] as const)
      expect(of(first, 'jobs_total', { workflow: 'raw', status })).toBe(count);
    expect(of(first, 'job_failures_total', { workflow: 'raw', code: 'NODE_FAILED' })).toBe(1);
    expect(total(first, 'attempt_failures_total')).toBe(2);
    expect(of(first, 'job_queue_seconds_count', { workflow: 'raw' })).toBe(5);
    expect(of(first, 'job_run_seconds_count', { workflow: 'raw' })).toBe(3);
    // what the instances themselves say of how long they worked; each attempt is told in whole ms
    const worked = instances
      .flatMap(({ control }) => control.executions())
      .filter(({ outcome }) => outcome === 'success')
      .reduce((sum, { startedAt, endedAt }) => sum + ((endedAt ?? startedAt) - startedAt) / 1000, 0);
    expect(of(first, 'job_run_seconds_sum', { workflow: 'raw' })).toBeCloseTo(worked, 1);
    expect(of(first, 'instances', { health: 'HEALTHY' })).toBe(2);
    expect([of(first, 'queue_depth'), of(first, 'jobs_running')]).toEqual([0, 0]);
    expect([of(first, 'leader'), of(first, 'store_up'), of(first, 'bus_connected')]).toEqual([1, 1, 1]);
    expect(of(first, 'subscriptions_active', { field: 'queue' })).toBe(1);
    expect(of(first, 'websocket_connections')).toBe(1);
    expect(of(first, 'graphql_errors_total', { code: 'GRAPHQL_VALIDATION_FAILED' })).toBe(1);
    expect(of(first, 'upload_bytes_total')).toBe(readFileSync('assets/orange.png').byteLength);
    const posts = { route: '/prompt', outcome: 'ok' };
    expect(of(first, 'comfyui_request_duration_seconds_count', posts)).toBeGreaterThanOrEqual(6);

    await events.return?.();
    await gateway.restart();
    await wave(gateway, 20);
    const second = await scraped(url, (metrics) => total(metrics, 'attempts_total') === 12);
    expect(of(second, 'jobs_submitted_total', { workflow: 'raw' })).toBe(10);
    expect(of(second, 'job_run_seconds_count', { workflow: 'raw' })).toBe(6);
    const gpu = 'instance_gpu_seconds_total';
    expect(total(second, gpu)).toBeGreaterThan(total(first, gpu));
    type Answer = { metrics: { totalProcessed: number; byInstance: { completed: number }[] } };
    const { metrics } = await client.run<Answer>('{ metrics { totalProcessed byInstance { completed } } }');
    expect(metrics.totalProcessed).toBe(8);
    const text = await (await fetch(`${url}/metrics`)).text();
    for (const secret of [PROMPT, 'default', ...instances.map((one) => one.url)])
      expect(text).not.toContain(secret);
  }, 60_000);

  it('is served unless PROMETHEUS is false', async () => {
    const { url } = await startGateway({ config: { prometheus: false } });
    expect((await fetch(`${url}/metrics`)).status).toBe(404);
  });
});

describe('in a cluster', () => {
  it('the leader alone tells of the fleet, and the next one goes on from there', async () => {
    const cluster = await Cluster.start({ apis: 1, schedulers: 2 });
    onTestFinished(() => cluster.stop());
    const [api] = cluster.apis;
    const client = cluster.client();
    const leader = await cluster.leader();
    const standby = cluster.standby(leader);
    const job = async (salt: number): Promise<void> => {
      const { id } = await submitGraph(client, sleepGraph({ seconds: 0.1, salt }));
      await everything(client.watch('subscription ($id: ID!) { job(id: $id) { id } }', { id }));
    };
    await job(1);
    const completed = (metrics: Metrics) =>
      of(metrics, 'jobs_total', { workflow: 'raw', status: 'COMPLETED' });
    const leading = await scraped(leader.url, (metrics) => completed(metrics) === 1);
    expect(of(leading, 'leader')).toBe(1);
    const fleetOf = (metrics: Metrics) =>
      Object.keys(FLEET_METRICS).filter((name) => metrics.has(`${PREFIX}${name}`));
    expect(fleetOf(leading).length).toBeGreaterThan(10);
    const waiting = await scrape(standby.url);
    expect([of(waiting, 'leader'), of(waiting, 'store_up'), fleetOf(waiting)]).toEqual([0, 1, []]);
    const serving = await scrape(api?.url ?? '');
    expect([of(serving, 'leader'), of(serving, 'bus_connected'), fleetOf(serving)]).toEqual([
      undefined,
      1,
      [],
    ]);
    expect(of(serving, 'subscriptions_active', { field: 'job' })).toBe(0);
    await cluster.end(leader, 'SIGKILL');
    await cluster.leader();
    await job(2);
    const next = await scraped(standby.url, (metrics) => completed(metrics) === 2);
    expect(of(next, 'job_run_seconds_count', { workflow: 'raw' })).toBe(2);
  }, 60_000);
});
