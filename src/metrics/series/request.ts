/** What is asked of figures over time, and what is wrong with it. */
import type { JobStatus } from '../../domain/job.ts';
import type { TimeRange } from '../window.ts';
import {
  figureOf,
  METRIC_DIMENSIONS,
  type MetricDimension,
  type MetricName,
  type MetricStat,
  statsOf,
} from './figures.ts';

export interface SeriesRequest {
  readonly metrics: readonly MetricName[];
  /** Null: that which is usual for each metric. */
  readonly stat: MetricStat | null;
  /** Not empty, and begun. */
  readonly range: TimeRange;
  readonly intervalMs: number | null;
  readonly maxDataPoints: number | null;
  readonly groupBy: readonly MetricDimension[];
  readonly filter: {
    /** Ids. */
    readonly instances?: readonly string[];
    readonly statuses?: readonly JobStatus[];
    readonly workflows?: readonly string[];
  };
}

const FILTERS = { instances: 'INSTANCE', statuses: 'STATUS', workflows: 'WORKFLOW' } as const;

/** What to do about it, for a person; null when it can be answered. */
export function problemOf(request: SeriesRequest): string | null {
  const { metrics, intervalMs, maxDataPoints } = request;
  if (metrics.length === 0) return 'metrics must name one at least';
  if (intervalMs !== null && !(intervalMs > 0)) return 'intervalMs must be more than 0';
  if (maxDataPoints !== null && maxDataPoints < 1) return 'maxDataPoints must be 1 at least';
  for (const metric of metrics) {
    const problem = problemOfMetric(metric, request);
    if (problem) return problem;
  }
  return null;
}

function problemOfMetric(metric: MetricName, { stat, filter }: SeriesRequest): string | null {
  const stats: readonly MetricStat[] = statsOf(metric);
  if (stat !== null && !stats.includes(stat))
    return `${metric} has no ${stat}: ask for ${stats.join(', ')}, or leave stat out`;
  const { dimensions } = figureOf(metric);
  for (const name of Object.keys(FILTERS) as (keyof typeof FILTERS)[])
    if (filter[name] && !dimensions.includes(FILTERS[name]))
      return `${metric} is not told apart by ${FILTERS[name]}: leave filter.${name} out, or ask for it on its own`;
  return null;
}

/** Of those asked for, the ones that a metric is told apart by. */
export function groupsOf(metric: MetricName, { groupBy }: SeriesRequest): readonly MetricDimension[] {
  const { dimensions } = figureOf(metric);
  return (Object.keys(METRIC_DIMENSIONS) as MetricDimension[]).filter(
    (each) => groupBy.includes(each) && dimensions.includes(each),
  );
}
