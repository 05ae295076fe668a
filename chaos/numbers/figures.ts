/** What the gateway says: the figures of GraphQL and of /metrics. */
import { type PrometheusMetric, parsePrometheus } from '../../test/support/prometheus-text.ts';
import type { PatientClient } from '../patient-client.ts';

/** So wide that a round is in one bucket; widths are rounded to whole multiples since 1970. */
const ONE_BUCKET_MS = 28 * 86_400_000;

export interface Row {
  readonly value: number | null;
  readonly instance: string | null;
  readonly status: string | null;
  readonly workflow: string | null;
  readonly errorCode: string | null;
  readonly tenant: string | null;
}

const ROWS = `query Rows($metrics: [MetricName!]!, $stat: MetricStat, $from: TimeInput!, $by: [MetricDimension!], $filter: MetricFilter, $interval: Float) {
  metricRows(metrics: $metrics, stat: $stat, from: $from, intervalMs: $interval, groupBy: $by, filter: $filter) {
    value instance status workflow errorCode tenant } }`;

const FLEET = `query Fleet($from: TimeInput!) {
  metrics(from: $from) { totalProcessed successRate persistedAt
    durationMs { avg p50 p90 p95 p99 } queueTimeMs { avg p50 p90 p95 p99 }
    byInstance { instanceName completed failed durationMs { avg p95 } }
    byWorkflow { workflow completed failed durationMs { avg p95 } }
    errors { code count instance workflow } }
  usage(from: $from) { workflow tenant jobs gpuSeconds countedGpuSeconds } }`;

interface Spread {
  readonly avg: number | null;
  readonly p50: number | null;
  readonly p90: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
}
interface Part {
  readonly completed: number;
  readonly failed: number;
  readonly durationMs: Pick<Spread, 'avg' | 'p95'>;
}

export interface FleetFigures {
  readonly metrics: {
    readonly totalProcessed: number;
    readonly successRate: number | null;
    readonly persistedAt: string | null;
    readonly durationMs: Spread;
    readonly queueTimeMs: Spread;
    readonly byInstance: readonly (Part & { readonly instanceName: string })[];
    readonly byWorkflow: readonly (Part & { readonly workflow: string })[];
    readonly errors: readonly {
      readonly code: string;
      readonly count: number;
      readonly instance: string | null;
      readonly workflow: string | null;
    }[];
  };
  readonly usage: readonly {
    readonly workflow: string;
    readonly tenant: string;
    readonly jobs: number;
    readonly gpuSeconds: number;
    readonly countedGpuSeconds: number;
  }[];
}

export class Figures {
  readonly #client: PatientClient;
  readonly #from: number;

  /** Since `from`, epoch ms. */
  constructor(client: PatientClient, from: number) {
    this.#client = client;
    this.#from = from;
  }

  /** One metric by one dimension: values by its names ('' for none). */
  async by(
    metric: string,
    stat: string,
    dimension: keyof typeof COLUMN | null = null,
    filter: object | null = null,
  ): Promise<Map<string, number>> {
    const by = dimension === null ? [] : [dimension];
    const variables = { metrics: [metric], stat, from: this.#from, by, filter, interval: ONE_BUCKET_MS };
    const { metricRows } = await this.#client.run<{ metricRows: Row[] }>(ROWS, variables);
    const values = new Map<string, number>();
    for (const row of metricRows) {
      const name = dimension === null ? '' : (row[COLUMN[dimension]] ?? '');
      // a round that sees two buckets has two rows of each: counts add up, and nothing else is asked of two
      values.set(name, (values.get(name) ?? 0) + (row.value ?? 0));
    }
    return values;
  }

  fleet(): Promise<FleetFigures> {
    return this.#client.run<FleetFigures>(FLEET, { from: this.#from });
  }
}

const COLUMN = {
  INSTANCE: 'instance',
  STATUS: 'status',
  WORKFLOW: 'workflow',
  ERROR_CODE: 'errorCode',
  TENANT: 'tenant',
} as const;

/** Reads /metrics of the process that leads; null where none of the addresses tells of the fleet. */
export async function scrape(urls: readonly string[]): Promise<Map<string, PrometheusMetric> | null> {
  for (const url of urls) {
    const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(10_000) }).catch(() => null);
    if (!response?.ok) continue;
    const metrics = parsePrometheus(await response.text());
    if (metrics.has('comfyfleet_jobs_submitted_total')) return metrics;
  }
  return null;
}

/** The samples of one metric added up by a label; '' for all. `where`: only those with these labels. */
export function scraped(
  metrics: ReadonlyMap<string, PrometheusMetric>,
  name: string,
  label: string | null = null,
  where: Readonly<Record<string, string>> = {},
): Map<string, number> {
  const family = [name, name.replace(/_(count|sum|bucket)$/, '')].find((one) =>
    metrics.has(`comfyfleet_${one}`),
  );
  const sums = new Map<string, number>();
  for (const sample of metrics.get(`comfyfleet_${family}`)?.samples ?? []) {
    if (sample.name !== `comfyfleet_${name}`) continue;
    if (Object.entries(where).some(([key, value]) => sample.labels[key] !== value)) continue;
    const key = label === null ? '' : (sample.labels[label] ?? '');
    sums.set(key, (sums.get(key) ?? 0) + sample.value);
  }
  return sums;
}
