/** The noun Workflow: what is registered, what it takes, and where it can run. */
import { missingFrom, type Needs, needsOf } from '../domain/capabilities.ts';
import { missingEverywhere } from '../jobs/runnable.ts';
import type { EquippedInstance } from '../store/inventories.ts';
import type { WorkflowDefinition } from '../workflows/definition.ts';
import type { Builder } from './builder.ts';
import { globalId } from './global-id.ts';
import type { Refs } from './refs.ts';

export function addWorkflow(builder: Builder, refs: Refs): void {
  addInput(builder, refs);
  builder.objectType(refs.Workflow, {
    description: 'A graph with typed inputs that jobs can be made from.',
    interfaces: [refs.Node],
    fields: (t) => ({
      id: t.id({ description: 'Opaque id.', resolve: ({ name }) => globalId('Workflow', name) }),
      name: t.exposeString('name', { description: 'What submitJob calls it.' }),
      description: t.exposeString('description', { nullable: true, description: 'What it is for.' }),
      inputs: t.field({
        type: [refs.WorkflowInput],
        description: 'What it takes.',
        resolve: ({ inputs }) => inputs,
      }),
      outputs: t.stringList({
        description: 'Ids of the nodes whose results are the point of it.',
        resolve: ({ outputs }) => outputs,
      }),
      graph: t.field({
        type: 'JSONObject',
        description: "The graph in ComfyUI's API format, before inputs are written into it.",
        resolve: ({ graph }) => structuredClone(graph) as never,
      }),
      mutation: t.string({
        nullable: true,
        description: 'Name of its typed mutation.',
        resolve: ({ name }) => name,
      }),
      runnableOn: t.field({
        type: [refs.Instance],
        description:
          'Instances that have all it needs, healthy or not; one whose lists were not read yet counts.',
        resolve: async (workflow, _args, { loaders }) => {
          const fleet = await loaders.equipped.load('fleet');
          const lists = missingOnEach(workflow, fleet);
          return fleet.filter((_, index) => hasAll(lists[index])).map(({ instance }) => instance);
        },
      }),
      missingModels: t.stringList({
        description: 'Model files it names that no instance has.',
        resolve: async (workflow, _args, { loaders }) =>
          missingOnAll(workflow, await loaders.equipped.load('fleet')).models,
      }),
      missingNodeTypes: t.stringList({
        description: 'Node classes it names that no instance has.',
        resolve: async (workflow, _args, { loaders }) =>
          missingOnAll(workflow, await loaders.equipped.load('fleet')).nodeTypes,
      }),
    }),
  });
  builder.queryFields((t) => ({
    workflow: t.field({
      type: refs.Workflow,
      nullable: true,
      description: 'A workflow by its name; null when there is none.',
      args: { name: t.arg.string({ required: true, description: 'Name of the workflow.' }) },
      resolve: (_root, { name }, { services }) => services.workflows().get(name),
    }),
    workflows: t.field({
      type: [refs.Workflow],
      description: 'The registered workflows, by name.',
      resolve: (_root, _args, { services }) => services.workflows().list(),
    }),
  }));
}

function missingOnEach({ graph }: WorkflowDefinition, fleet: readonly EquippedInstance[]): Needs[] {
  const needs = needsOf(graph, fleet);
  return fleet.map(({ inventory }) => missingFrom(needs, inventory));
}

/** What every instance lacks. An empty fleet lacks nothing: it accepts jobs and waits for instances. */
function missingOnAll(workflow: WorkflowDefinition, fleet: readonly EquippedInstance[]): Needs {
  return missingEverywhere(needsOf(workflow.graph, fleet), missingOnEach(workflow, fleet));
}

function hasAll(missing: Needs | undefined): boolean {
  return missing?.nodeTypes.length === 0 && missing.models.length === 0;
}

function addInput(builder: Builder, refs: Refs): void {
  builder.objectType(refs.WorkflowInput, {
    description: 'One input of a workflow.',
    fields: (t) => ({
      name: t.exposeString('name', { description: 'Its name in `inputs`.' }),
      type: t.exposeString('type', {
        description: 'string, int, float, boolean, enum, image, seed or model.',
      }),
      required: t.exposeBoolean('required', { description: 'It must be given.' }),
      default: t.field({
        type: 'JSON',
        nullable: true,
        description: 'Taken when it is not given; null when there is none, or it is drawn or chosen then.',
        resolve: (input) => input.default ?? null,
      }),
      description: t.exposeString('description', { nullable: true, description: 'What it does.' }),
      min: t.float({
        nullable: true,
        description: 'Least number, or least length of a text.',
        resolve: ({ min, minLength }) => min ?? minLength ?? null,
      }),
      max: t.float({
        nullable: true,
        description: 'Greatest number, or greatest length of a text.',
        resolve: ({ max, maxLength }) => max ?? maxLength ?? null,
      }),
      options: t.stringList({
        nullable: true,
        description: 'What may be chosen; null when it is not a choice.',
        resolve: ({ options }) => options ?? null,
      }),
    }),
  });
}
