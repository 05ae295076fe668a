/** The whole schema, made anew for a set of workflows: each noun's function adds its part to one new builder. */
import type { GraphQLSchema } from 'graphql';
import type { WorkflowDefinition } from '../workflows/definition.ts';
import { createBuilder } from './builder.ts';
import { addFailures } from './failure-types.ts';
import { addFleetMetrics } from './fleet-metrics.ts';
import type { NodeTypeName } from './global-id.ts';
import { addHealth } from './health.ts';
import { addInstance } from './instance.ts';
import { addInstanceMutations } from './instance-mutations.ts';
import { addJob } from './job.ts';
import { addJobEvents } from './job-event.ts';
import { addJobFilter } from './job-filter.ts';
import { addJobMutations } from './job-mutations.ts';
import { addJobParts } from './job-parts.ts';
import { addJobQueries } from './job-queries.ts';
import { addMetric } from './metric.ts';
import { addModel } from './model.ts';
import { addNodes, type NodeFinder } from './nodes.ts';
import { addOutputs, OUTPUT_TYPES } from './output.ts';
import { addQueue } from './queue.ts';
import { createRefs } from './refs.ts';
import { addScalars } from './scalars.ts';
import { addSubmit } from './submit.ts';
import { addSubscriptions } from './subscriptions.ts';
import { addTypedMutations } from './typed-mutations.ts';
import { addUpload } from './upload.ts';
import { addUsage } from './usage.ts';
import { addWorkflow } from './workflow.ts';

export function buildSchema({
  workflows,
}: {
  readonly workflows: readonly WorkflowDefinition[];
}): GraphQLSchema {
  const builder = createBuilder();
  builder.queryType({ description: 'What can be asked.' });
  builder.mutationType({
    description:
      'What can be done. Each answers with a union: a success, or errors that say what to change. Files of one request are read in the order they are sent.',
  });
  builder.subscriptionType({
    description: 'What can be watched, over WebSocket (graphql-transport-ws) or SSE.',
  });
  addScalars(builder);
  const refs = createRefs(builder);
  addNodes(builder, refs, FINDERS);
  addJob(builder, refs);
  addJobParts(builder, refs);
  addOutputs(builder, refs);
  addInstance(builder, refs);
  addWorkflow(builder, refs);
  addModel(builder, refs);
  addQueue(builder, refs);
  addHealth(builder, refs);
  addFleetMetrics(builder, refs);
  addUsage(builder);
  addMetric(builder, refs);
  addJobEvents(builder, refs);
  const JobFilter = addJobFilter(builder, refs);
  addJobQueries(builder, refs, JobFilter);
  addSubscriptions(builder, refs, JobFilter);
  const failures = addFailures(builder, refs);
  addUpload(builder, refs, failures);
  addInstanceMutations(builder, refs, failures);
  addJobMutations(builder, refs, failures);
  addTypedMutations(builder, workflows, addSubmit(builder, refs, failures));
  return builder.toSchema();
}

const findOfKind =
  (type: NodeTypeName): NodeFinder =>
  async (id, { loaders }) => {
    const output = await loaders.output.load(id);
    return output && OUTPUT_TYPES[output.kind] === type ? output : null;
  };

/** By loaders, since `nodes` asks for many at once. */
const FINDERS: Readonly<Record<NodeTypeName, NodeFinder>> = {
  Job: (id, { loaders }) => loaders.job.load(id),
  Instance: (id, { loaders }) => loaders.instance.load(id),
  Workflow: (name, { services }) => services.workflows().get(name),
  UploadedImage: (id, { loaders }) => loaders.upload.load(id),
  ImageOutput: findOfKind('ImageOutput'),
  FileOutput: findOfKind('FileOutput'),
  TextOutput: findOfKind('TextOutput'),
};
