import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { MetricFact } from '../../../src/domain/metric-fact.ts';
import { readFleetSamples } from '../../../src/metrics/prometheus/fleet-samples.ts';
import { fleetText } from '../../../src/metrics/prometheus/fleet-text.ts';
import { FLEET_METRICS, PREFIX } from '../../../src/metrics/prometheus/names.ts';
import { removeInstance, saveHealth, upsertConfigured } from '../../../src/store/instances.ts';
import type { Store } from '../../../src/store/open.ts';
import { foldFacts } from '../../support/fold-facts.ts';
import { putJob } from '../../support/job-rows.ts';
import { type PrometheusMetric, parsePrometheus, sampleValue } from '../../support/prometheus-text.ts';
import { ENGINES, openTempStore } from '../../support/temp-store.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const NOW = 1_700_000_000_000;
const HOUR = 3_600_000;
const NASTY = 'the "big" \\ one\nand more {}=,#';

const common = { at: NOW - 1000, tenant: 'secret-tenant', workflow: 'draw' } as const;
const submitted = (workflow = 'draw'): MetricFact => ({ ...common, workflow, kind: 'submitted' });
const started = (queueMs: number, workflow = 'draw'): MetricFact => ({
  ...{ ...common, workflow, kind: 'started', instanceId: 'a', queueMs },
});
const attempt = (more: Partial<Extract<MetricFact, { kind: 'attempt-ended' }>>): MetricFact => ({
  ...{ ...common, kind: 'attempt-ended', instanceId: 'a', outcome: 'SUCCEEDED' },
  ...{ code: null, runMs: 1000, counted: true, ...more },
});
const ended = (more: Partial<Extract<MetricFact, { kind: 'ended' }>>): MetricFact => ({
  ...{ ...common, kind: 'ended', instanceId: 'a', status: 'COMPLETED' },
  ...{ code: null, message: null, runMs: 1000, ...more },
});

async function put(store: Store, id: string, name: string): Promise<void> {
  await upsertConfigured(store.db, { id, name, url: `http://${id}`, capacity: 1 }, 1);
}

async function told(store: Store, now = NOW): Promise<Map<string, PrometheusMetric>> {
  return parsePrometheus(await fleetText(await readFleetSamples(store.db, now)));
}

describe.each(ENGINES)('what Prometheus is told of the fleet, on %s', (engine) => {
  const open = async (): Promise<Store> => {
    const temp = await openTempStore(engine);
    onTestFinished(() => temp.close());
    return temp.store;
  };
  const fold = (store: Store, facts: readonly MetricFact[]) => foldFacts(store, new VirtualClock(NOW), facts);

  it('is all that is documented, by names and labels that are escaped', async () => {
    const store = await open();
    await put(store, 'a', NASTY);
    await saveHealth(
      store.db,
      'a',
      { health: 'HEALTHY', responseMs: 20, vramTotalBytes: 1000, vramFreeBytes: 400 },
      1,
    );
    await fold(store, [
      ...[submitted(), submitted(), started(500), attempt({}), ended({})],
      attempt({ outcome: 'FAILED', code: 'OUT_OF_MEMORY', runMs: 500 }),
      ended({ status: 'FAILED', code: 'OUT_OF_MEMORY', message: 'secret message', runMs: 500 }),
    ]);
    const metrics = await told(store);
    expect([...metrics.keys()]).toEqual(Object.keys(FLEET_METRICS).map((name) => `${PREFIX}${name}`));
    for (const [name, { type, labels, help }] of Object.entries(FLEET_METRICS)) {
      const metric = metrics.get(`${PREFIX}${name}`);
      expect(metric).toMatchObject({ type, help });
      for (const sample of metric?.samples ?? []) {
        const names = Object.keys(sample.labels).filter((label) => label !== 'le');
        expect(names.sort()).toEqual([...labels].sort());
      }
    }
    const of = (name: string, labels = {}) => sampleValue(metrics, `${PREFIX}${name}`, labels);
    expect(of('jobs_submitted_total', { workflow: 'draw' })).toBe(2);
    expect(of('jobs_total', { workflow: 'draw', status: 'COMPLETED' })).toBe(1);
    expect(of('jobs_total', { workflow: 'draw', status: 'FAILED' })).toBe(1);
    // there before the first, so that it is seen as a rise
    expect(of('jobs_total', { workflow: 'draw', status: 'CANCELED' })).toBe(0);
    expect(of('job_failures_total', { workflow: 'draw', code: 'OUT_OF_MEMORY' })).toBe(1);
    expect(of('attempts_total', { instance_name: NASTY, outcome: 'SUCCEEDED' })).toBe(1);
    expect(of('attempt_failures_total', { instance_name: NASTY, code: 'OUT_OF_MEMORY' })).toBe(1);
    expect(of('instance_gpu_seconds_total', { instance_name: NASTY })).toBe(1.5);
    expect(of('instances', { health: 'HEALTHY' })).toBe(1);
    expect(of('instances', { health: 'UNHEALTHY' })).toBe(0);
    expect(of('instance_up', { instance_name: NASTY })).toBe(1);
    expect(of('instance_response_seconds', { instance_name: NASTY })).toBe(0.02);
    expect(of('instance_vram_used_bytes', { instance_name: NASTY })).toBe(600);
    expect(of('instance_vram_total_bytes', { instance_name: NASTY })).toBe(1000);
    expect(of('metrics_persisted_timestamp_seconds')).toBe(NOW / 1000);
    expect(await fleetText(await readFleetSamples(store.db, NOW))).not.toContain('secret');
  });

  it('has run times of completed jobs only, and of all that began the time they waited', async () => {
    const store = await open();
    await fold(store, [
      ...[started(1), started(125), started(126), started(3_000_000), started(7, 'other')],
      ended({ runMs: 1000 }),
      ended({ runMs: 9000, status: 'FAILED', code: 'NODE_FAILED', message: '' }),
    ]);
    const metrics = await told(store);
    const of = (name: string, labels = {}) =>
      sampleValue(metrics, `${PREFIX}${name}`, { workflow: 'draw', ...labels });
    expect(of('job_queue_seconds_bucket', { le: '0.125' })).toBe(2);
    expect(of('job_queue_seconds_bucket', { le: '0.25' })).toBe(3);
    expect(of('job_queue_seconds_bucket', { le: '2048' })).toBe(3);
    expect(of('job_queue_seconds_bucket', { le: '+Inf' })).toBe(4);
    expect(of('job_queue_seconds_sum')).toBeCloseTo(3000.252, 9);
    expect(of('job_run_seconds_count')).toBe(1);
    expect(of('job_run_seconds_bucket', { le: '0.5' })).toBe(0);
    expect(of('job_run_seconds_bucket', { le: '1' })).toBe(1);
  });

  it('counts instances of one name as one, and leaves out those that went an hour ago', async () => {
    const store = await open();
    for (const [id, name] of [
      ['old', 'gpu'],
      ['gone', 'other'],
      ['just', 'just'],
    ] as const)
      await put(store, id, name);
    await removeInstance(store.db, 'old', NOW - 5 * HOUR);
    await removeInstance(store.db, 'gone', NOW - HOUR - 1);
    await removeInstance(store.db, 'just', NOW - HOUR + 1);
    await put(store, 'new', 'gpu');
    await fold(
      store,
      ['old', 'gone', 'just', 'new', 'never'].map((instanceId) => attempt({ instanceId })),
    );
    const metrics = await told(store);
    const names = metrics.get(`${PREFIX}attempts_total`)?.samples.map(({ labels }) => labels.instance_name);
    expect(names?.sort()).toEqual(['gpu', 'just']);
    expect(
      sampleValue(metrics, `${PREFIX}attempts_total`, { instance_name: 'gpu', outcome: 'SUCCEEDED' }),
    ).toBe(2);
    const up = metrics.get(`${PREFIX}instance_up`)?.samples;
    expect(up).toMatchObject([{ labels: { instance_name: 'gpu' }, value: 0 }]);
  });

  it('tells of the queue as it stands, and of an empty fleet without nonsense', async () => {
    const store = await open();
    const empty = await told(store);
    const of = (metrics: typeof empty, name: string) => sampleValue(metrics, `${PREFIX}${name}`);
    expect([of(empty, 'queue_depth'), of(empty, 'queue_oldest_seconds'), of(empty, 'jobs_running')]).toEqual([
      0, 0, 0,
    ]);
    expect(of(empty, 'metrics_persisted_timestamp_seconds')).toBeUndefined();
    await putJob(store.db, { id: 'a', createdAt: NOW - 90_000 });
    await putJob(store.db, { id: 'b', createdAt: NOW - 10_000 });
    await putJob(store.db, { id: 'c', status: 'PROCESSING', instance: null });
    const metrics = await told(store);
    expect([of(metrics, 'queue_depth'), of(metrics, 'jobs_running')]).toEqual([2, 1]);
    expect(of(metrics, 'queue_oldest_seconds')).toBe(90);
  });
});

it('a histogram of any durations counts below each bound exactly what is', async () => {
  const temp = await openTempStore();
  onTestFinished(() => temp.close());
  const clock = new VirtualClock(NOW);
  const bounds = Array.from({ length: 15 }, (_, n) => 125 * 2 ** n);
  const near = fc.constantFrom(...bounds.flatMap((bound) => [bound - 1, bound, bound + 1]));
  const durations = fc.array(fc.oneof(near, fc.nat(5_000_000)), { minLength: 1, maxLength: 40 });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(durations, async (all) => {
      const workflow = `w${run++}`;
      await foldFacts(
        temp.store,
        clock,
        all.map((ms) => started(ms, workflow)),
      );
      const metrics = await told(temp.store);
      for (const bound of bounds) {
        const labels = { workflow, le: `${bound / 1000}` };
        const below = all.filter((ms) => ms <= bound).length;
        expect(sampleValue(metrics, `${PREFIX}job_queue_seconds_bucket`, labels)).toBe(below);
      }
    }),
    { numRuns: 25 },
  );
});
