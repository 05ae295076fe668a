/** Writes the values of a submission into a workflow's graph. Pure: chance and the fleet's models are passed in. */
import type { Graph, GraphNode } from '../domain/graph.ts';
import { isObject, type Json, type JsonObject } from '../lib/json.ts';
import { checkValue } from './check-value.ts';
import {
  MAX_SEED,
  type WorkflowDefinition,
  type WorkflowInputDefinition,
  type WorkflowRegistry,
} from './definition.ts';

export interface BindTools {
  /** Numbers in [0, 1). */
  readonly random: () => number;
  /** Name of the first model file of a folder that the fleet has; null when none is known. */
  readonly firstModel: (folder: string) => string | null;
}

/** `path` starts at the workflow's inputs. */
export interface InputIssue {
  readonly path: readonly string[];
  readonly message: string;
}

export type BoundInputs =
  /** `inputs`: what was sent, with the defaults that were taken or drawn. */
  | { readonly ok: true; readonly graph: Graph; readonly inputs: JsonObject }
  | { readonly ok: false; readonly issues: readonly InputIssue[] };

/**
 * The bound graph, or everything that is wrong with the values. An image value is `{"$file": {...}}`; what it holds is
 * copied into the graph with `as` added ('name' or 'base64', as the target says). Null counts as absent.
 */
export function bindInputs(
  workflow: WorkflowDefinition,
  values: Readonly<Record<string, Json>>,
  tools: BindTools,
): BoundInputs {
  const known = workflow.inputs.map((definition) => definition.name);
  const issues: InputIssue[] = Object.keys(values)
    .filter((name) => !known.includes(name))
    .map((name) => ({ path: [name], message: unknownInput(workflow.name, known) }));
  const taken: { definition: WorkflowInputDefinition; value: Json }[] = [];
  for (const definition of workflow.inputs) {
    const sent = Object.hasOwn(values, definition.name) ? (values[definition.name] ?? null) : null;
    if (sent === null && definition.required) {
      issues.push({ path: [definition.name], message: 'is required' });
      continue;
    }
    const value = sent ?? defaultOf(definition, tools);
    if (value === null) continue;
    const checked = checkValue(definition, value);
    if (checked.ok) taken.push({ definition, value: checked.value });
    else issues.push({ path: [definition.name], message: checked.message });
  }
  if (issues.length > 0) return { ok: false, issues };
  const graph: Record<string, GraphNode> = { ...workflow.graph };
  for (const { definition, value } of taken) writeInput(graph, definition, value);
  const inputs = Object.fromEntries(taken.map(({ definition, value }) => [definition.name, value]));
  return { ok: true, graph, inputs };
}

/** The sentence for a workflow name that names nothing. */
export function unknownWorkflow(registry: WorkflowRegistry): string {
  const names = registry.list().map((workflow) => workflow.name);
  return names.length === 0
    ? 'names no workflow: there are none'
    : `names no workflow: use ${names.join(', ')}`;
}

function unknownInput(workflow: string, known: readonly string[]): string {
  return known.length === 0
    ? `is no input of ${workflow}, which has none`
    : `is no input of ${workflow}: it has ${known.join(', ')}`;
}

/** What an absent input becomes; null leaves the graph as it is. */
function defaultOf(definition: WorkflowInputDefinition, tools: BindTools): Json {
  const fallback = definition.default ?? null;
  if (definition.type === 'model') return tools.firstModel(definition.modelFolder ?? '') ?? fallback;
  if (definition.type !== 'seed' || fallback !== null) return fallback;
  const min = definition.min ?? 0;
  const max = definition.max ?? MAX_SEED;
  return min + Math.floor(tools.random() * (max - min));
}

/** Changes the nodes it is given, which must be the caller's own. */
function writeInput(
  nodes: Record<string, GraphNode>,
  definition: WorkflowInputDefinition,
  value: Json,
): void {
  for (const { node: id, input, as } of definition.bind) {
    const node = nodes[id];
    if (!node) continue;
    const bound = definition.type === 'image' ? fileFor(value, as ?? 'name') : value;
    nodes[id] = { ...node, inputs: { ...node.inputs, [input]: bound } };
  }
}

function fileFor(value: Json, as: 'name' | 'base64'): Json {
  const file = isObject(value) ? value.$file : null;
  return { $file: { ...(isObject(file) ? (file as JsonObject) : {}), as } };
}
