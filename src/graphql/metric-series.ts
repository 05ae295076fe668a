/** The noun MetricSeries: figures over time, a list of points for each group. */
import type { MetricPoint, MetricSeries } from '../metrics/series/metric-series.ts';
import type { Builder } from './builder.ts';
import { figuresOverTime, type metricArgs } from './metric-query.ts';
import type { MetricTypes } from './metric-types.ts';

export function addMetricSeries(
  builder: Builder,
  types: MetricTypes,
  args: ReturnType<typeof metricArgs>,
): void {
  const MetricLabel = builder
    .objectRef<{ readonly name: string; readonly value: string }>('MetricLabel')
    .implement({
      description: 'What the values of a series have in common.',
      fields: (t) => ({
        name: t.exposeString('name', {
          description: 'instance, status, workflow, errorCode or tenant: as the fields of MetricRow.',
        }),
        value: t.exposeString('value', { description: 'What it is.' }),
      }),
    });
  const MetricPoint = builder.objectRef<MetricPoint>('MetricPoint').implement({
    description: 'A point of a graph.',
    fields: (t) => ({
      time: t.field({
        type: 'DateTime',
        description: 'Its beginning; a multiple of intervalMs since 1970.',
        resolve: ({ at }) => at,
      }),
      timeMs: t.exposeFloat('at', { description: 'The same in epoch ms.' }),
      value: t.exposeFloat('value', { nullable: true, description: 'Null where there is nothing.' }),
    }),
  });
  const MetricSeries = builder.objectRef<MetricSeries>('MetricSeries').implement({
    description: 'One line of a graph.',
    fields: (t) => ({
      name: t.string({
        description: 'Metric, statistic and labels: what a legend shows. Unlike all others of the answer.',
        resolve: nameOf,
      }),
      metric: t.field({
        type: types.MetricName,
        description: 'What is shown.',
        resolve: ({ metric }) => metric,
      }),
      unit: t.exposeString('unit', {
        description:
          'Of the values, as Grafana calls it: short (a number), ms, s, bytes, percentunit (0 to 1). With RATE that per second.',
      }),
      labels: t.field({
        type: [MetricLabel],
        description: 'Its group; empty without groupBy, and without what the group has not.',
        resolve: ({ labels }) => Object.entries(labels).map(([name, value]) => ({ name, value })),
      }),
      intervalMs: t.exposeFloat('intervalMs', {
        description: 'Time between two points, in ms: what was asked for, or coarser.',
      }),
      points: t.field({
        type: [MetricPoint],
        description: 'Ascending, without gaps.',
        resolve: ({ points }) => points,
      }),
    }),
  });
  builder.queryField('metricSeries', (t) =>
    t.field({
      type: [MetricSeries],
      description:
        'Figures over time, as one series for each metric and group that has a value in that time; without groupBy always one for each metric. BAD_USER_INPUT for a time that is empty or lies in the future, and for what a metric has not.',
      args,
      resolve: (_root, given, context) => figuresOverTime(given, context),
    }),
  );
}

function nameOf({ metric, stat, labels }: MetricSeries): string {
  return [metric, stat, ...Object.values(labels)].join(' ');
}
