/** The noun MetricRow: figures over time, as flat rows, for tools that draw tables and know no lists in lists. */
import type { JobStatus } from '../domain/job.ts';
import { METRIC_DIMENSIONS, type MetricDimension } from '../metrics/series/figures.ts';
import type { MetricPoint, MetricSeries } from '../metrics/series/metric-series.ts';
import type { Builder } from './builder.ts';
import { figuresOverTime, type metricArgs } from './metric-query.ts';
import type { MetricTypes } from './metric-types.ts';
import type { Refs } from './refs.ts';

interface Row extends MetricPoint {
  readonly series: MetricSeries;
}

export function addMetricRow(
  builder: Builder,
  refs: Refs,
  types: MetricTypes,
  args: ReturnType<typeof metricArgs>,
): void {
  const MetricRow = builder.objectRef<Row>('MetricRow').implement({
    description: 'One figure of one group at one time.',
    fields: (t) => {
      const label = (dimension: MetricDimension, description: string) =>
        t.string({
          nullable: true,
          description: `${description} Null without groupBy ${dimension}.`,
          resolve: ({ series }) => labelOf(series, dimension),
        });
      return {
        time: t.field({
          type: 'DateTime',
          description: 'Beginning of the point; see MetricPoint.',
          resolve: ({ at }) => at,
        }),
        timeMs: t.exposeFloat('at', { description: 'The same in epoch ms.' }),
        metric: t.field({
          type: types.MetricName,
          description: 'What is shown.',
          resolve: ({ series }) => series.metric,
        }),
        stat: t.field({
          type: types.MetricStat,
          description: 'What the value is made with.',
          resolve: ({ series }) => series.stat,
        }),
        value: t.exposeFloat('value', {
          nullable: true,
          description: 'In the unit of the metric; null where there is nothing.',
        }),
        instance: label('INSTANCE', 'Name of the instance; null also for jobs that never had one.'),
        status: t.field({
          type: refs.JobStatus,
          nullable: true,
          description: 'What the jobs ended with. Null without groupBy STATUS.',
          resolve: ({ series }) => labelOf(series, 'STATUS') as JobStatus | null,
        }),
        workflow: label('WORKFLOW', 'Name of the workflow.'),
        errorCode: label('ERROR_CODE', 'Code of the error.'),
        tenant: label('TENANT', 'Whose jobs.'),
      };
    },
  });
  builder.queryField('metricRows', (t) =>
    t.field({
      type: [MetricRow],
      description:
        'What metricSeries says, as one row for each point of each series, in order of time. BAD_USER_INPUT as there.',
      args,
      resolve: async (_root, given, context) => rowsOf(await figuresOverTime(given, context)),
    }),
  );
}

function labelOf({ labels }: MetricSeries, dimension: MetricDimension): string | null {
  return labels[METRIC_DIMENSIONS[dimension].label] ?? null;
}

/** All series have the same times. */
function rowsOf(all: readonly MetricSeries[]): Row[] {
  const times = all[0]?.points ?? [];
  return times.flatMap((_, n) => all.map((series) => ({ ...(series.points[n] as MetricPoint), series })));
}
