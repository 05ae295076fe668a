/**
 * The figures that can be asked for over time: what each is made of, by what it can be told apart, which statistics it has.
 * Names and dimensions are those of the schema.
 */
import type { AttemptOutcome, JobStatus } from '../../domain/job.ts';
import type { Dimension, Measure } from '../../domain/metric-measure.ts';

/** In the order in which they are listed, with the names that labels and rows have. */
export const METRIC_DIMENSIONS = {
  INSTANCE: { dimension: 'instance', label: 'instance' },
  STATUS: { dimension: 'status', label: 'status' },
  WORKFLOW: { dimension: 'workflow', label: 'workflow' },
  ERROR_CODE: { dimension: 'code', label: 'errorCode' },
  TENANT: { dimension: 'tenant', label: 'tenant' },
} as const satisfies Record<string, { readonly dimension: Dimension; readonly label: string }>;
export type MetricDimension = keyof typeof METRIC_DIMENSIONS;
export type MetricLabelName = (typeof METRIC_DIMENSIONS)[MetricDimension]['label'];

export const METRIC_STATS = ['SUM', 'AVG', 'MIN', 'MAX', 'LAST', 'RATE', 'P50', 'P90', 'P95', 'P99'] as const;
export type MetricStat = (typeof METRIC_STATS)[number];

const QUANTILES = { P50: 0.5, P90: 0.9, P95: 0.95, P99: 0.99 } as const;
type Quantile = keyof typeof QUANTILES;

/** The share of the values below it; null for a statistic that is no quantile. */
export function shareOf(stat: MetricStat): number | null {
  return stat in QUANTILES ? QUANTILES[stat as Quantile] : null;
}

/** As Grafana calls its units. */
export type MetricUnit = 'short' | 'ms' | 's' | 'bytes' | 'percentunit';

interface Common {
  readonly dimensions: readonly MetricDimension[];
  readonly unit: MetricUnit;
}

/** `busy` is made of several measures (metrics/busy.ts); all else of one. */
export type Figure =
  | (Common & {
      readonly kind: 'count' | 'total' | 'values' | 'gauge';
      readonly measure: Measure;
      /** Only cells of these statuses (outcomes, of attempts). */
      readonly only?: readonly (JobStatus | AttemptOutcome)[];
      /** Only of these, unless others are asked for. */
      readonly usually?: readonly JobStatus[];
    })
  | (Common & { readonly kind: 'busy' });

const ended = (status: JobStatus, ...more: MetricDimension[]) =>
  ({
    kind: 'count',
    measure: 'ended',
    only: [status],
    dimensions: ['INSTANCE', 'STATUS', 'WORKFLOW', 'TENANT', ...more],
    unit: 'short',
  }) as const;
const gauge = (measure: Measure, unit: MetricUnit, ...dimensions: MetricDimension[]) =>
  ({ kind: 'gauge', measure, dimensions, unit }) as const;

export const FIGURES = {
  JOBS_SUBMITTED: { kind: 'count', measure: 'submitted', dimensions: ['WORKFLOW', 'TENANT'], unit: 'short' },
  JOBS_COMPLETED: ended('COMPLETED'),
  JOBS_FAILED: ended('FAILED', 'ERROR_CODE'),
  JOBS_CANCELED: ended('CANCELED'),
  ATTEMPTS_FAILED: {
    kind: 'count',
    measure: 'attempts',
    only: ['FAILED', 'LOST'],
    dimensions: ['INSTANCE', 'WORKFLOW', 'ERROR_CODE', 'TENANT'],
    unit: 'short',
  },
  JOB_DURATION: {
    kind: 'values',
    measure: 'run_time',
    usually: ['COMPLETED'],
    dimensions: ['INSTANCE', 'STATUS', 'WORKFLOW', 'TENANT'],
    unit: 'ms',
  },
  JOB_QUEUE_TIME: {
    kind: 'values',
    measure: 'queue_time',
    dimensions: ['INSTANCE', 'WORKFLOW', 'TENANT'],
    unit: 'ms',
  },
  QUEUE_DEPTH: gauge('queue_depth', 'short'),
  INSTANCES_HEALTHY: gauge('instances_healthy', 'short'),
  INSTANCE_BUSY: { kind: 'busy', dimensions: ['INSTANCE'], unit: 'percentunit' },
  INSTANCE_RESPONSE_TIME: gauge('response_time', 'ms', 'INSTANCE'),
  INSTANCE_VRAM_USED: gauge('vram_used', 'bytes', 'INSTANCE'),
  GPU_SECONDS: {
    kind: 'total',
    measure: 'gpu_time',
    dimensions: ['INSTANCE', 'WORKFLOW', 'TENANT'],
    unit: 's',
  },
} as const satisfies Record<string, Figure>;
export type MetricName = keyof typeof FIGURES;

/** The first one is the one that is meant when none is given. */
export const STATS_OF = {
  count: ['SUM', 'RATE'],
  total: ['SUM', 'RATE'],
  values: ['AVG', 'SUM', 'MIN', 'MAX', 'P50', 'P90', 'P95', 'P99'],
  gauge: ['AVG', 'MIN', 'MAX', 'LAST', 'P50', 'P90', 'P95', 'P99'],
  busy: ['AVG'],
} as const satisfies Record<Figure['kind'], readonly MetricStat[]>;

export function figureOf(name: MetricName): Figure {
  return FIGURES[name];
}

export function statsOf(name: MetricName): readonly [MetricStat, ...MetricStat[]] {
  return STATS_OF[FIGURES[name].kind];
}
