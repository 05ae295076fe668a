/**
 * A submission as a graph whose pictures are still open: every image source becomes a numbered slot in the graph and in
 * the recorded inputs, and is filled once its bytes are stored. So everything that needs no bytes is checked before any
 * are written, and random defaults are drawn once. Pure.
 */
import { FILE_KEY, fileValueOf, mapFiles } from '../domain/file-refs.ts';
import type { FileRef, Graph } from '../domain/graph.ts';
import { checkGraph, type GraphLimits, type NodeProblem } from '../domain/graph-check.ts';
import { present } from '../lib/assert.ts';
import { isObject, type Json, type JsonObject } from '../lib/json.ts';
import { takesBase64 } from '../workflows/base64-nodes.ts';
import { type BindTools, bindInputs, unknownWorkflow } from '../workflows/bind-inputs.ts';
import type { WorkflowRegistry } from '../workflows/definition.ts';
import { RAW_WORKFLOW } from '../workflows/workflow-file.ts';
import { type ImageSource, type Issue, parseImageSource, type SentValue } from './sources.ts';
import type { SubmitRequest } from './submission.ts';

/** A picture that the graph takes; `path` leads to it in what was sent. */
export interface FileSlot {
  readonly path: readonly string[];
  readonly source: ImageSource;
}

export interface Draft {
  readonly workflow: string;
  /** Files are `{"$file": {slot, as}}`. */
  readonly graph: Graph;
  /** Files are `{"$file": {slot}}`. */
  readonly inputs: JsonObject;
  readonly slots: readonly FileSlot[];
}

export type Drafted =
  | { readonly ok: true; readonly draft: Draft }
  | { readonly ok: false; readonly issues: readonly Issue[] }
  | { readonly ok: false; readonly nodeErrors: readonly NodeProblem[] };

export interface DraftTools extends BindTools {
  readonly workflows: WorkflowRegistry;
  readonly graphLimits?: GraphLimits;
}

/** What a stored picture puts into its slot. */
export interface FilledSlot {
  readonly sha256: string;
  readonly mimeType: string;
  /** How the job's inputs name it. */
  readonly reference: { readonly uploadId: string } | { readonly outputId: string };
}

export function draftOf(request: SubmitRequest, tools: DraftTools): Drafted {
  const { workflow, graph } = request;
  const hasGraph = graph !== undefined && graph !== null;
  if (typeof workflow === 'string' && hasGraph) return refuse([], 'give a workflow or a graph, not both');
  if (typeof workflow === 'string') return draftWorkflow(workflow, request.inputs ?? {}, tools);
  if (!hasGraph) return refuse([], 'give a workflow or a graph');
  if (Object.keys(request.inputs ?? {}).length > 0)
    return refuse(['inputs'], 'belong to a workflow; a graph holds its own values');
  return draftGraph(graph, tools);
}

function refuse(path: readonly string[], message: string): Drafted {
  return { ok: false, issues: [{ path, message }] };
}

function draftWorkflow(name: string, sent: Readonly<Record<string, SentValue>>, tools: DraftTools): Drafted {
  const workflow = tools.workflows.get(name);
  if (!workflow) return refuse(['workflow'], unknownWorkflow(tools.workflows));
  if (!isObject(sent)) return refuse(['inputs'], 'must be an object');
  const slots: FileSlot[] = [];
  const issues: Issue[] = [];
  const images = new Set(
    workflow.inputs.filter((input) => input.type === 'image').map((input) => input.name),
  );
  const values = Object.entries(sent).map(([input, value]): [string, Json] => {
    if (!images.has(input) || value === null) return [input, isPlainJson(value) ? value : {}];
    const path = ['inputs', input];
    const parsed = parseImageSource(value, path);
    if (!parsed.ok) issues.push(parsed.issue);
    else slots.push({ path, source: parsed.source });
    // A broken source still takes part in binding, so that all other issues are found too.
    return [input, { [FILE_KEY]: { slot: slots.length - 1 } }];
  });
  const bound = bindInputs(workflow, Object.fromEntries(values), tools);
  if (!bound.ok) issues.push(...bound.issues.map((issue) => ({ ...issue, path: ['inputs', ...issue.path] })));
  if (!bound.ok || issues.length > 0) return { ok: false, issues };
  return { ok: true, draft: { workflow: name, graph: bound.graph, inputs: bound.inputs, slots } };
}

/** A file of the request where none belongs is no JSON; its input is refused for its type. */
function isPlainJson(value: SentValue): value is Json {
  return !(isObject(value) && 'upload' in value && isObject(value.upload) && 'stream' in value.upload);
}

function draftGraph(raw: unknown, tools: DraftTools): Drafted {
  const checked = checkGraph(raw, tools.graphLimits);
  if (!checked.ok && checked.kind === 'nodes') return { ok: false, nodeErrors: checked.problems };
  if (!checked.ok)
    return {
      ok: false,
      issues: checked.problems.map(({ path, message }) => ({ path: ['graph', ...path], message })),
    };
  const slots: FileSlot[] = [];
  const issues: Issue[] = [];
  const nodes = Object.entries(checked.graph).map(([id, node]) => {
    const as: FileRef['as'] = takesBase64(node.class_type) ? 'base64' : 'name';
    const inputs = Object.entries(node.inputs).map(([input, value]): [string, Json] => {
      const file = fileValueOf(value);
      if (file === undefined) return [input, value];
      const path = ['graph', id, 'inputs', input, FILE_KEY];
      const parsed = parseImageSource(file, path);
      if (!parsed.ok) issues.push(parsed.issue);
      else slots.push({ path, source: parsed.source });
      return [input, { [FILE_KEY]: { slot: slots.length - 1, as } }];
    });
    return [id, { ...node, inputs: Object.fromEntries(inputs) }];
  });
  if (issues.length > 0) return { ok: false, issues };
  const graph: Graph = Object.fromEntries(nodes);
  return { ok: true, draft: { workflow: RAW_WORKFLOW, graph, inputs: {}, slots } };
}

/** The graph to store, with a FileRef in every slot, and the inputs to show, with references by id. */
export function fillSlots(draft: Draft, filled: readonly FilledSlot[]): { graph: Graph; inputs: JsonObject } {
  const slotOf = (value: Json): FilledSlot => {
    const slot = isObject(value) ? value.slot : undefined;
    return present(typeof slot === 'number' ? filled[slot] : undefined, 'the picture of a slot');
  };
  const graph = mapFiles(draft.graph, (value) => {
    const { sha256, mimeType } = slotOf(value);
    const as = isObject(value) && value.as === 'base64' ? 'base64' : 'name';
    return { [FILE_KEY]: { sha256, mimeType, as } };
  });
  const inputs = Object.entries(draft.inputs).map(([name, value]): [string, Json] => {
    const file = fileValueOf(value);
    return [name, file === undefined ? value : { ...slotOf(file).reference }];
  });
  return { graph, inputs: Object.fromEntries(inputs) };
}
