/** What FleetMetrics is made of: quantiles, and the figures of each instance, workflow and error. */
import { type Cell, quantile } from '../domain/metric-cell.ts';
import type { ErrorFigures } from '../metrics/error-figures.ts';
import type { PartFigures } from '../metrics/fleet-figures.ts';
import { successRate } from '../metrics/outcomes.ts';
import type { Builder } from './builder.ts';
import type { FleetMetricsView } from './fleet-metrics-view.ts';
import { globalId } from './global-id.ts';
import type { Refs } from './refs.ts';

type Of<T> = FleetMetricsView & { readonly value: T };

interface QuantilesView {
  readonly key: string;
  readonly cell: Cell;
}

export function addFleetMetricsParts(builder: Builder, refs: Refs) {
  const Quantiles = addQuantiles(builder);
  return {
    Quantiles,
    InstanceMetrics: addInstanceMetrics(builder, refs, Quantiles),
    WorkflowMetrics: addWorkflowMetrics(builder, Quantiles),
    ErrorCount: addErrorCount(builder),
  };
}

export function quantilesOf({ rangeText }: FleetMetricsView, name: string, cell: Cell): QuantilesView {
  return { key: `${name}/${rangeText}`, cell };
}

function addQuantiles(builder: Builder) {
  const at =
    (q: number) =>
    ({ cell }: QuantilesView) =>
      quantile(cell, q);
  return builder.objectRef<QuantilesView>('Quantiles').implement({
    description:
      'How times are spread, in ms. Quantiles are those of all values together, whatever instance and time they are of, within 4.4 %; null without any value.',
    fields: (t) => {
      const share = (name: string, q: number) =>
        t.float({ nullable: true, description: `${name} do not exceed it, in ms.`, resolve: at(q) });
      return {
        id: t.id({
          description: 'Opaque id, the same for the same figure of the same range.',
          resolve: ({ key }) => globalId('Quantiles', key),
        }),
        avg: t.float({
          nullable: true,
          description: 'The mean, in ms: exact.',
          resolve: ({ cell }) => (cell.count === 0 ? null : cell.sum / cell.count),
        }),
        p50: share('Half of the values', 0.5),
        p90: share('90 % of the values', 0.9),
        p95: share('95 % of the values', 0.95),
        p99: share('99 % of the values', 0.99),
      };
    },
  });
}

type QuantilesRef = ReturnType<typeof addQuantiles>;

function addInstanceMetrics(builder: Builder, refs: Refs, Quantiles: QuantilesRef) {
  const InstanceMetrics = addPart(builder, Quantiles, {
    name: 'InstanceMetrics',
    of: 'instance',
    description: 'How one instance did in the range. Jobs count where they ran last.',
  });
  builder.objectFields(InstanceMetrics, (t) => ({
    instance: t.field({
      type: refs.Instance,
      nullable: true,
      description: 'The instance; null when nothing but figures is known of it any more.',
      resolve: ({ value }, _args, { loaders }) => loaders.instance.load(value.key),
    }),
    instanceName: t.string({
      description: 'Its name; its internal id when that is all that is left of it.',
      resolve: ({ value }) => value.name,
    }),
    utilization: t.float({
      description:
        'Share of the range in which it ran something of ours, 0 to 1, retries and what runs now included.',
      resolve: ({ figures, value }) => figures.utilizationOf(value.key),
    }),
  }));
  return InstanceMetrics;
}

function addWorkflowMetrics(builder: Builder, Quantiles: QuantilesRef) {
  const WorkflowMetrics = addPart(builder, Quantiles, {
    name: 'WorkflowMetrics',
    of: 'workflow',
    description: 'How the jobs of one workflow did in the range.',
  });
  builder.objectField(WorkflowMetrics, 'workflow', (t) =>
    t.string({
      description: 'Its name; "raw" for graphs submitted as they are.',
      resolve: ({ value }) => value.name,
    }),
  );
  return WorkflowMetrics;
}

interface PartType {
  readonly name: 'InstanceMetrics' | 'WorkflowMetrics';
  /** By what jobs are told apart. */
  readonly of: 'instance' | 'workflow';
  readonly description: string;
}

/** What the figures of instances and of workflows have in common. */
function addPart(builder: Builder, Quantiles: QuantilesRef, { name, of, description }: PartType) {
  return builder.objectRef<Of<PartFigures>>(name).implement({
    description,
    fields: (t) => ({
      id: t.id({
        description: `Opaque id, the same for the same ${of} and range.`,
        resolve: ({ rangeText, value }) => globalId(name, `${value.key}/${rangeText}`),
      }),
      completed: t.float({
        description: 'Jobs COMPLETED.',
        resolve: ({ value }) => value.outcomes.completed,
      }),
      failed: t.float({ description: 'Jobs FAILED.', resolve: ({ value }) => value.outcomes.failed }),
      successRate: t.float({
        nullable: true,
        description: 'Share of those two that completed, 0 to 1; null without any.',
        resolve: ({ value }) => successRate(value.outcomes),
      }),
      durationMs: t.field({
        type: Quantiles,
        description: 'Time on the instance of its COMPLETED jobs, in ms.',
        resolve: async (view) => {
          const cell = await view.figures.runTimeOf(of, view.value.key);
          return quantilesOf(view, `${of}/${view.value.key}`, cell);
        },
      }),
    }),
  });
}

function addErrorCount(builder: Builder) {
  return builder.objectRef<Of<ErrorFigures>>('ErrorCount').implement({
    description: 'Jobs of one workflow that FAILED for one reason on one instance.',
    fields: (t) => ({
      id: t.id({
        description: 'Opaque id, the same for the same code, instance, workflow and range.',
        resolve: ({ rangeText, value: { code, instance, workflow } }) =>
          globalId('ErrorCount', JSON.stringify([code, instance, workflow, rangeText])),
      }),
      code: t.string({ description: 'As in Job.error.code.', resolve: ({ value }) => value.code }),
      count: t.float({ description: 'Jobs that FAILED in the range.', resolve: ({ value }) => value.count }),
      rate: t.float({
        description: 'Their share of all jobs that ended COMPLETED or FAILED in the range, 0 to 1.',
        resolve: ({ value }) => value.rate,
      }),
      instance: t.string({
        nullable: true,
        description: 'Name of the instance where they ran last; null when they never ran.',
        resolve: ({ value }) => value.instance,
      }),
      workflow: t.string({
        nullable: true,
        description: 'Name of the workflow.',
        resolve: ({ value }) => value.workflow,
      }),
      lastAt: t.field({
        type: 'DateTime',
        description: 'When it last happened, after the range too.',
        resolve: ({ value }) => value.lastAt,
      }),
      lastMessage: t.string({
        description: 'What that means, and the type of the node; `recentFailures` has what the node said.',
        resolve: ({ value }) => value.lastMessage,
      }),
    }),
  });
}
