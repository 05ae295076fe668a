/** metricSeries and metricRows over HTTP, asked as Grafana's plugins ask. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MetricFact } from '../../src/domain/metric-fact.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { foldFacts } from '../support/fold-facts.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

const AT = Math.floor(Date.now() / 60_000) * 60_000 - 600_000;
let gateway: TestGateway;
let gpuId: string;

beforeAll(async () => {
  gateway = await startGateway();
  const gpu = await gateway.addInstance('gpu1');
  gpuId = Buffer.from(`Instance:${gpu.id}`).toString('base64url');
  const common = { tenant: 'default', workflow: 'w', instanceId: gpu.id };
  const facts: MetricFact[] = [100, 200, 900].flatMap((runMs, n): MetricFact[] => {
    const at = AT + n * 60_000;
    const ended = { ...common, at, code: null, runMs };
    return [
      { kind: 'submitted', at, tenant: 'default', workflow: 'w' },
      { kind: 'attempt-ended', ...ended, outcome: 'SUCCEEDED', counted: true },
      { kind: 'ended', ...ended, status: 'COMPLETED', message: null },
    ];
  });
  await foldFacts(gateway.store, systemClock, facts);
});
afterAll(() => gateway.stop());

interface Reply {
  readonly data: Record<string, Row[]> | null;
  readonly errors?: readonly { readonly message: string; readonly extensions: { readonly code: string } }[];
}
interface Row {
  readonly timeMs: number;
  readonly value: number | null;
  readonly points: readonly { readonly timeMs: number; readonly value: number | null }[];
  readonly [name: string]: unknown;
}

/** The body as a plugin sends it, byte by byte. */
async function post(body: object): Promise<Reply> {
  const response = await fetch(gateway.graphqlUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return (await response.json()) as Reply;
}
const ask = (query: string) => post({ query });

describe('figures over time', () => {
  it('answer Infinity, whose macros are replaced in the text of the query and whose variables are null', async () => {
    const macros: Record<string, string> = {
      ...{ __timeFrom: String(AT), __timeTo: new Date(AT + 180_000).toISOString(), __interval_ms: '60000' },
    };
    const query =
      `{ metricRows(metrics: [JOBS_COMPLETED, JOB_DURATION], from: \${__timeFrom}, to: "\${__timeTo:date:iso}",
      intervalMs: \${__interval_ms}, groupBy: [INSTANCE]) { time timeMs metric stat value instance } }`.replace(
        /\$\{(\w+)(?::date:iso)?\}/g,
        (_, macro: string) => macros[macro] ?? '',
      );
    const { data, errors } = await post({ query, variables: null });
    expect(errors).toBeUndefined();
    const rows = data?.metricRows ?? [];
    expect(rows.map(({ timeMs, metric, value }) => [timeMs - AT, metric, value])).toEqual([
      [0, 'JOBS_COMPLETED', 1],
      [0, 'JOB_DURATION', 100],
      [60_000, 'JOBS_COMPLETED', 1],
      [60_000, 'JOB_DURATION', 200],
      [120_000, 'JOBS_COMPLETED', 1],
      [120_000, 'JOB_DURATION', 900],
    ]);
    expect(rows[0]).toMatchObject({ time: new Date(AT).toISOString(), stat: 'SUM', instance: 'gpu1' });
    expect(rows[1]).toMatchObject({ stat: 'AVG' });
  });

  it('answer Wild GraphQL, which sends five variables whether they are declared or not', async () => {
    const variables = {
      ...{ from: AT, interval_ms: 60_000, maxDataPoints: 1214, refId: 'A', to: AT + 180_000 },
    };
    const query = `query ($from: TimeInput!, $to: TimeInput!, $interval_ms: Float, $maxDataPoints: Int) {
      metricSeries(metrics: [JOBS_SUBMITTED, QUEUE_DEPTH], from: $from, to: $to, intervalMs: $interval_ms, maxDataPoints: $maxDataPoints)
        { name unit intervalMs labels { name value } points { time timeMs value } } }`;
    const { data, errors } = await post({ query, variables });
    expect(errors).toBeUndefined();
    const [submitted, depth] = data?.metricSeries ?? [];
    expect(submitted).toMatchObject({
      name: 'JOBS_SUBMITTED SUM',
      unit: 'short',
      intervalMs: 60_000,
      labels: [],
    });
    expect(submitted?.points.map(({ timeMs, value }) => [timeMs - AT, value])).toEqual([
      [0, 1],
      [60_000, 1],
      [120_000, 1],
    ]);
    expect(depth?.points.map(({ value }) => value)).toEqual([null, null, null]);
    const none = await post({ query: '{ metricRows(metrics: [QUEUE_DEPTH]) { value } }', variables });
    expect(none.errors).toBeUndefined();
  });

  it('are told apart by instance, and only of the instances that are asked for', async () => {
    const series = async (filter: string) => {
      const { data } = await ask(
        `{ metricSeries(metrics: [GPU_SECONDS], intervalMs: 3600000, groupBy: [INSTANCE, STATUS], filter: ${filter})
          { name unit labels { name value } points { value } } }`,
      );
      return data?.metricSeries ?? [];
    };
    const [own, ...others] = await series(`{ instances: ["${gpuId}"] }`);
    expect(others).toEqual([]);
    expect(own).toMatchObject({
      ...{ name: 'GPU_SECONDS SUM gpu1', unit: 's' },
      labels: [{ name: 'instance', value: 'gpu1' }],
    });
    expect(own?.points.reduce((sum, { value }) => sum + (value ?? 0), 0)).toBeCloseTo(1.2);
    expect(await series('{ instances: ["nobody"] }')).toEqual([]);
  });

  it.each([
    ['metrics: []', 'metrics'],
    ['metrics: [QUEUE_DEPTH], stat: SUM', 'QUEUE_DEPTH has no SUM: ask for AVG'],
    ['metrics: [QUEUE_DEPTH], filter: { workflows: ["w"] }', 'leave filter.workflows out'],
    ['metrics: [QUEUE_DEPTH], from: "now", to: "now-1h"', 'before'],
    [`metrics: [QUEUE_DEPTH], from: ${AT + 90_000_000_000}, to: ${AT + 91_000_000_000}`, 'past'],
    ['metrics: [QUEUE_DEPTH], intervalMs: 0', 'intervalMs'],
    ['metrics: [QUEUE_DEPTH], intervalMs: -1.5', 'intervalMs'],
    ['metrics: [QUEUE_DEPTH], maxDataPoints: 0', 'maxDataPoints'],
    ['metrics: [QUEUE_DEPTH], from: "yesterday"', 'TimeInput'],
  ])('refuse %s and say what to do', async (args, part) => {
    for (const field of ['metricSeries', 'metricRows']) {
      const { errors } = await ask(`{ ${field}(${args}) { metric } }`);
      expect(errors?.[0]?.message).toContain(part);
      expect(errors?.[0]?.extensions.code).toMatch(/BAD_USER_INPUT|GRAPHQL_VALIDATION_FAILED/);
    }
  });

  it.each(['workflows', 'instances'])('refuse more in filter.%s than a statement holds', async (field) => {
    const asked = async (filter: object) => {
      const query = `query ($filter: MetricFilter) { metricSeries(metrics: [GPU_SECONDS], filter: $filter) { name }
        metricRows(metrics: [GPU_SECONDS], filter: $filter) { value } }`;
      return (await post({ query, variables: { filter } })).errors ?? [];
    };
    const names = Array.from({ length: 33_000 }, (_, n) => `n${n}`);
    const ids = names.map((name) => Buffer.from(`Instance:${name}`).toString('base64url'));
    const many = field === 'instances' ? ids : names;
    for (const error of await asked({ [field]: many }))
      expect(error).toMatchObject({
        message: expect.stringContaining(`filter.${field} has 33000 values; 500 are allowed`),
        extensions: { code: 'BAD_USER_INPUT' },
      });
    expect(await asked({ [field]: many })).not.toEqual([]);
    expect(await asked({ [field]: many.slice(0, 500) })).toEqual([]);
    expect(await asked({ [field]: many.map(() => many[0]) })).toEqual([]);
  });

  it('answer any time and interval with few points, and never with more than were asked for', async () => {
    const args = ['from: 0', 'from: "-62135596800000"', 'from: "now-1w", intervalMs: 1', 'intervalMs: 1e300'];
    for (const given of [...args, 'from: 0, maxDataPoints: 1', 'maxDataPoints: 2147483647']) {
      const { data, errors } = await ask(
        `{ metricSeries(metrics: [JOBS_COMPLETED], ${given}) { intervalMs points { value } } }`,
      );
      expect(errors, given).toBeUndefined();
      const points = data?.metricSeries?.[0]?.points ?? [];
      expect(points.length, given).toBeLessThanOrEqual(given.includes('maxDataPoints: 1') ? 1 : 11_000);
      expect(
        points.reduce((sum, { value }) => sum + (value ?? 0), 0),
        given,
      ).toBe(3);
    }
  });

  it('cannot be asked for many times in one operation', async () => {
    const fields = Array.from(
      { length: 10 },
      (_, n) => `a${n}: metricRows(metrics: [QUEUE_DEPTH]) { value }`,
    );
    const { errors } = await ask(`{ ${fields.join(' ')} }`);
    expect(errors?.[0]?.extensions.code).toBe('QUERY_TOO_COMPLEX');
    const few = await ask(`{ ${fields.slice(0, 6).join(' ')} }`);
    expect(few.errors).toBeUndefined();
  });
});
