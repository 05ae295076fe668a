/** Asking for figures over time: the arguments that series and rows share, and what is read for them. */
import type { JobStatus } from '../domain/job.ts';
import type { MetricDimension, MetricName, MetricStat } from '../metrics/series/figures.ts';
import {
  DEFAULT_POINTS,
  type MetricSeries,
  MOST_POINTS,
  MOST_POINTS_IN_ALL,
} from '../metrics/series/metric-series.ts';
import type { Builder } from './builder.ts';
import { choices } from './choices.ts';
import { badInput } from './coded-error.ts';
import type { GraphqlContext } from './context.ts';
import { rawId } from './global-id.ts';
import { HOUR_AGO, NOW, rangeOf } from './metric-range.ts';
import type { MetricTypes } from './metric-types.ts';
import type { TimeInput } from './time-input.ts';

/** Of both queries: what one of them is asked, the other can be. */
export function metricArgs(builder: Builder, types: MetricTypes) {
  return builder.args((t) => ({
    metrics: t.field({
      type: [types.MetricName],
      required: true,
      description: 'Which figures; one at least.',
    }),
    stat: t.field({
      type: types.MetricStat,
      description: 'Of each point; see MetricStat for when it is absent.',
    }),
    from: t.field({
      type: 'TimeInput',
      defaultValue: HOUR_AGO,
      description: 'Beginning of the time; the first point is the one that holds it.',
    }),
    to: t.field({
      type: 'TimeInput',
      defaultValue: NOW,
      description: 'End of the time; no point begins at it or later, or after now.',
    }),
    intervalMs: t.float({
      description: `Time of a point, in ms: rounded up to 10, 20 or 30 s, 1, 2, 5, 10, 15 or 30 min, 1, 2, 3, 6 or 12 h, 1, 2, 7, 14, 28 days and so on, and wider where that would be finer than what is kept at the beginning (10 s for an hour, a minute for two days, then an hour), or more than ${MOST_POINTS} points a series or ${MOST_POINTS_IN_ALL} in all. When absent: as maxDataPoints says.`,
    }),
    maxDataPoints: t.int({
      description: `Of a series; ${DEFAULT_POINTS} when neither this nor intervalMs is given, ${MOST_POINTS} at most.`,
    }),
    groupBy: t.field({
      type: [types.MetricDimension],
      description: 'A series for each value of these; all is one when absent or empty.',
    }),
    filter: t.field({
      type: types.MetricFilter,
      description: 'Of which jobs or instances; all when absent.',
    }),
  }));
}

export interface MetricArgs {
  readonly metrics: readonly MetricName[];
  readonly stat?: MetricStat | null | undefined;
  readonly from?: TimeInput | null | undefined;
  readonly to?: TimeInput | null | undefined;
  readonly intervalMs?: number | null | undefined;
  readonly maxDataPoints?: number | null | undefined;
  readonly groupBy?: readonly MetricDimension[] | null | undefined;
  readonly filter?: MetricFilterInput | null | undefined;
}

interface MetricFilterInput {
  readonly instances?: readonly string[] | null | undefined;
  readonly statuses?: readonly JobStatus[] | null | undefined;
  readonly workflows?: readonly string[] | null | undefined;
}

/** @throws BAD_USER_INPUT that says what to ask instead. */
export async function figuresOverTime(
  args: MetricArgs,
  { figures, services: { clock, config } }: GraphqlContext,
): Promise<readonly MetricSeries[]> {
  const now = clock.now();
  const { from, to } = rangeOf(args.from ?? HOUR_AGO, args.to ?? NOW, now);
  const answer = await figures.series({
    metrics: args.metrics,
    stat: args.stat ?? null,
    range: { from, to, now, retentionMs: config.metricsRetentionMs },
    intervalMs: args.intervalMs ?? null,
    maxDataPoints: args.maxDataPoints ?? null,
    groupBy: args.groupBy ?? [],
    filter: filterOf(args.filter ?? {}),
  });
  if (answer.kind === 'refused') throw badInput(answer.message);
  return answer.series;
}

/** Null counts as absent; an id that is none matches nothing. */
function filterOf({ instances, statuses, workflows }: MetricFilterInput) {
  return {
    ...(instances && {
      instances: choices('instances', instances).flatMap((id) => rawId(id, 'Instance') ?? []),
    }),
    ...(statuses && { statuses: choices('statuses', statuses) }),
    ...(workflows && { workflows: choices('workflows', workflows) }),
  };
}
