/** The noun FleetMetrics: how the fleet is and did, in one row; asked for, or watched. */
import { successRate } from '../metrics/outcomes.ts';
import type { Builder } from './builder.ts';
import { badInput } from './coded-error.ts';
import type { GraphqlContext } from './context.ts';
import { addFleetMetricsParts, quantilesOf } from './fleet-metrics-parts.ts';
import type { FleetMetricsView } from './fleet-metrics-view.ts';
import { globalId } from './global-id.ts';
import { HOUR_AGO, NOW, rangeOf, rangeText } from './metric-range.ts';
import type { Refs } from './refs.ts';
import { followMetrics } from './streams/metrics-stream.ts';
import type { TimeInput } from './time-input.ts';

const MOST_FAILURES = 100;
const SHORTEST_MS = 500;
const LONGEST_MS = 60_000;
/** Of the last hour, asked for and watched alike. */
const LAST_HOUR = rangeText(HOUR_AGO, NOW);

export function addFleetMetrics(builder: Builder, refs: Refs): void {
  addNow(builder, refs);
  addRange(builder, refs);
  builder.queryField('metrics', (t) =>
    t.field({
      type: refs.FleetMetrics,
      description:
        'How the fleet is now and how it did in a range of time, in one row. BAD_USER_INPUT for a range that is empty or lies in the future.',
      args: {
        from: t.arg({ type: 'TimeInput', defaultValue: HOUR_AGO, description: 'Beginning of the range.' }),
        to: t.arg({
          type: 'TimeInput',
          defaultValue: NOW,
          description: 'End of the range, itself not in it; what is after now counts as now.',
        }),
      },
      resolve: (_root, { from, to }, context) => metricsOf(context, from ?? HOUR_AGO, to ?? NOW),
    }),
  );
  builder.subscriptionField('metrics', (t) =>
    t.field({
      type: refs.FleetMetrics,
      description:
        'The row of the last hour at once, then anew at every interval; a client that reads slowly misses some. All who watch share what is read.',
      args: {
        intervalMs: t.arg.float({
          defaultValue: 2000,
          description: `Time between two rows, in ms: ${SHORTEST_MS} to ${LONGEST_MS}, else BAD_USER_INPUT.`,
        }),
      },
      subscribe: (_root, { intervalMs }, context) => followMetrics(context, intervalOf(intervalMs ?? 2000)),
      resolve: (figures) => ({ rangeText: LAST_HOUR, figures }),
    }),
  );
}

function metricsOf({ figures, services }: GraphqlContext, from: TimeInput, to: TimeInput): FleetMetricsView {
  const now = services.clock.now();
  const { text, ...range } = rangeOf(from, to, now);
  return { rangeText: text, figures: figures.of({ ...range, now }) };
}

function intervalOf(ms: number): number {
  if (ms >= SHORTEST_MS && ms <= LONGEST_MS) return ms;
  throw badInput(`"intervalMs" must be ${SHORTEST_MS} to ${LONGEST_MS}`);
}

/** What is not of the range. */
function addNow(builder: Builder, refs: Refs): void {
  builder.objectType(refs.FleetMetrics, {
    description:
      'How the fleet is now, and how it did in a range of time. Ranges are as exact as the buckets at their ends: 10 s within the last hour, a minute within two days, then an hour.',
    fields: (t) => ({
      id: t.id({
        description: 'Opaque id: one for the last hour, asked for or watched, and one for each other range.',
        resolve: ({ rangeText }) => globalId('FleetMetrics', rangeText),
      }),
      at: t.field({
        type: 'DateTime',
        description: 'When these figures were asked for: "now" in the other descriptions.',
        resolve: ({ figures }) => figures.range.now,
      }),
      persistedAt: t.field({
        type: 'DateTime',
        nullable: true,
        description:
          'What happened until then is in the figures of the range: about a second ago while jobs come and go, ten at most while nothing happens; null before the first.',
        resolve: ({ figures }) => figures.persistedAt(),
      }),
      uptimeMs: t.float({
        description: 'Since the process that answers started, in ms, as in Health.',
        resolve: (_view, _args, { services }) => services.uptimeMs(),
      }),
      instancesTotal: t.int({
        description: 'Instances of the fleet now.',
        resolve: async ({ figures }) => (await figures.instances()).length,
      }),
      instancesHealthy: t.int({
        description: 'Those that are HEALTHY now.',
        resolve: async ({ figures }) =>
          (await figures.instances()).filter(({ health }) => health === 'HEALTHY').length,
      }),
      queueDepth: t.int({
        description: 'Jobs that wait now.',
        resolve: async ({ figures }) => (await figures.queue()).pending,
      }),
      running: t.int({
        description: 'Jobs that instances have now.',
        resolve: async ({ figures }) => (await figures.queue()).processing,
      }),
      totalProcessed: t.float({
        description: 'Jobs that ended COMPLETED or FAILED, of all time, deleted ones too.',
        resolve: async ({ figures }) => {
          const { completed, failed } = await figures.outcomesEver();
          return completed + failed;
        },
      }),
    }),
  });
}

/** What happened in the range. */
function addRange(builder: Builder, refs: Refs): void {
  const parts = addFleetMetricsParts(builder, refs);
  builder.objectFields(refs.FleetMetrics, (t) => ({
    successRate: t.float({
      nullable: true,
      description: 'COMPLETED jobs of those that ended COMPLETED or FAILED, 0 to 1; null without any.',
      resolve: async ({ figures }) => successRate(await figures.outcomes()),
    }),
    jobsPerHour: t.float({
      description:
        'Jobs that ended COMPLETED or FAILED, per hour of the range as far as it has passed and is kept.',
      resolve: ({ figures }) => figures.jobsPerHour(),
    }),
    queueTimeMs: t.field({
      type: parts.Quantiles,
      description: 'Job.queueMs of jobs whose first attempt started, in ms.',
      resolve: async (view) => quantilesOf(view, 'queueTimeMs', await view.figures.queueTime()),
    }),
    durationMs: t.field({
      type: parts.Quantiles,
      description: 'Job.runMs of jobs that ended COMPLETED, in ms.',
      resolve: async (view) => quantilesOf(view, 'durationMs', await view.figures.runTime()),
    }),
    byInstance: t.field({
      type: [parts.InstanceMetrics],
      description: 'Each instance of the fleet, and those that have left it since, by name.',
      resolve: async (view) => (await view.figures.byInstance()).map((value) => ({ ...view, value })),
    }),
    byWorkflow: t.field({
      type: [parts.WorkflowMetrics],
      description: 'Each workflow of which jobs ended, by name.',
      resolve: async (view) => (await view.figures.byWorkflow()).map((value) => ({ ...view, value })),
    }),
    errors: t.field({
      type: [parts.ErrorCount],
      description: 'Why jobs FAILED: most frequent first.',
      resolve: async (view) => (await view.figures.errors()).map((value) => ({ ...view, value })),
    }),
    recentFailures: t.field({
      type: [refs.Job],
      description: 'Your jobs that FAILED in the range and are still kept, newest failure first.',
      args: {
        first: t.arg.int({
          defaultValue: 10,
          description: `At most so many; 1 to ${MOST_FAILURES}, else BAD_USER_INPUT.`,
        }),
      },
      resolve: ({ figures }, { first }, { viewer }) => figures.failures(viewer, failuresOf(first ?? 10)),
    }),
  }));
}

function failuresOf(first: number): number {
  if (first >= 1 && first <= MOST_FAILURES) return first;
  throw badInput(`"first" must be 1 to ${MOST_FAILURES}`);
}
