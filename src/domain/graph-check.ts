/**
 * Is this value a graph that may be sent to an instance? Pure checks of what ComfyUI does not refuse by itself, or
 * refuses too late. Seen on ComfyUI 0.3.64: a link of an undeclared input to a node that is not there kills its worker
 * thread, names of files to load are not kept inside the input folder, and a circle is refused without a word of why.
 */
import { isObject, type Json, type JsonObject } from '../lib/json.ts';
import { FILE_KEY, fileValueOf } from './file-refs.ts';
import type { Graph, GraphNode, GraphProblem } from './graph.ts';
import { findCycles } from './graph-cycles.ts';
import { fileNameProblem, takesFileName } from './unsafe-file-names.ts';

/** A node that cannot be sent to an instance. */
export interface NodeProblem {
  readonly nodeId: string;
  readonly nodeType: string | null;
  readonly message: string;
}

export interface GraphLimits {
  readonly maxNodes: number;
  /** Of the graph as JSON text, in UTF-16 units (characters, for the common case). */
  readonly maxLength: number;
  /** Objects and lists inside one another below an input. */
  readonly maxDepth: number;
}

export const DEFAULT_GRAPH_LIMITS: GraphLimits = { maxNodes: 5_000, maxLength: 10_485_760, maxDepth: 32 };

export type GraphCheck =
  | { readonly ok: true; readonly graph: Graph }
  /** Not a graph at all. */
  | { readonly ok: false; readonly kind: 'structure'; readonly problems: readonly GraphProblem[] }
  /** A graph some nodes of which cannot run. */
  | { readonly ok: false; readonly kind: 'nodes'; readonly problems: readonly NodeProblem[] };

const MAX_NAME = 256;
/** Assigning to it would change an object's prototype somewhere down the line. */
const FORBIDDEN_NAME = '__proto__';
/** How a literal list is told from a link: ComfyUI unwraps `{"__value__": [...]}`. */
const WRAPPED = '__value__';

/** The graph with only the fields of a node that ComfyUI needs, or every problem found. Paths start at the graph. */
export function checkGraph(value: unknown, limits: GraphLimits = DEFAULT_GRAPH_LIMITS): GraphCheck {
  const structure = structureProblem(value, limits);
  if (structure) return { ok: false, kind: 'structure', problems: [{ path: [], message: structure }] };
  const raw = value as JsonObject;
  const shapes = Object.entries(raw).map(([id, node]) => ({ id, ...readNode(id, node) }));
  const graph: Graph = Object.fromEntries(
    shapes.flatMap((shape) => ('node' in shape ? [[shape.id, shape.node] as const] : [])),
  );
  const problems: NodeProblem[] = shapes.flatMap((shape) =>
    'problem' in shape ? [shape.problem] : inputProblems(shape.id, shape.node, raw, limits),
  );
  if (problems.length === 0) problems.push(...cycleProblems(graph));
  return problems.length === 0 ? { ok: true, graph } : { ok: false, kind: 'nodes', problems };
}

function structureProblem(value: unknown, limits: GraphLimits): string | null {
  if (!isObject(value)) return "must be an object of nodes in ComfyUI's API format";
  const count = Object.keys(value).length;
  if (count === 0) return 'must have at least one node';
  if (count > limits.maxNodes) return `must have at most ${limits.maxNodes} nodes`;
  if ('nodes' in value && 'links' in value)
    return "is in the editor's format; export it in the API format (Workflow, Export (API))";
  if (isDeeperThan(value as Json, limits.maxDepth + 3)) return `must not nest deeper than ${limits.maxDepth}`;
  if (JSON.stringify(value).length > limits.maxLength)
    return `must be at most ${limits.maxLength} characters as JSON`;
  return null;
}

/** Stops at the limit, so that hostile nesting cannot exhaust the stack. */
function isDeeperThan(value: Json, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((inner) => isDeeperThan(inner, levels - 1));
}

type NodeShape = { readonly node: GraphNode } | { readonly problem: NodeProblem };

function readNode(id: string, value: Json): NodeShape {
  const refuse = (message: string, nodeType: string | null = null): NodeShape => ({
    problem: { nodeId: id.slice(0, MAX_NAME), nodeType, message },
  });
  if (id === '' || id.length > MAX_NAME || id === FORBIDDEN_NAME)
    return refuse(`a node id must be a text of 1 to ${MAX_NAME} characters`);
  if (!isObject(value)) return refuse('must be an object with class_type and inputs');
  const { class_type: type, inputs, _meta: meta } = value;
  if (typeof type !== 'string' || type === '' || type.length > MAX_NAME)
    return refuse(`class_type must be a text of 1 to ${MAX_NAME} characters`);
  if (!isObject(inputs)) return refuse('inputs must be an object', type);
  if (Object.hasOwn(inputs, FORBIDDEN_NAME))
    return refuse(`an input cannot be called ${FORBIDDEN_NAME}`, type);
  // Anything else in a node is dropped: ComfyUI reads `is_changed` from it and would trust a client's.
  const node = { class_type: type, inputs: inputs as JsonObject };
  return { node: isObject(meta) ? { ...node, _meta: meta as JsonObject } : node };
}

function inputProblems(id: string, node: GraphNode, graph: JsonObject, limits: GraphLimits): NodeProblem[] {
  return Object.entries(node.inputs).flatMap(([name, input]) => {
    const message = inputProblem(node, name, input, graph, limits);
    if (message === null) return [];
    return [
      { nodeId: id, nodeType: node.class_type, message: `input '${name.slice(0, MAX_NAME)}' ${message}` },
    ];
  });
}

function inputProblem(
  node: GraphNode,
  name: string,
  input: Json,
  graph: JsonObject,
  limits: GraphLimits,
): string | null {
  if (Array.isArray(input)) return linkProblem(input, graph);
  if (fileValueOf(input) !== undefined)
    return Object.keys(input as JsonObject).length === 1 ? null : `must hold nothing beside "${FILE_KEY}"`;
  if (isDeeperThan(input, limits.maxDepth)) return `must not nest deeper than ${limits.maxDepth}`;
  return literalProblem(input) ?? (takesFileName(node.class_type, name) ? fileNameProblem(input) : null);
}

/** True for what ComfyUI takes for a link, whatever the input's name: a list of a text and a number (or, in Python, a truth value). */
function looksLikeLink(value: Json): value is [string, number | boolean] {
  if (!Array.isArray(value) || value.length !== 2 || typeof value[0] !== 'string') return false;
  return typeof value[1] === 'number' || typeof value[1] === 'boolean';
}

function linkProblem(list: Json[], graph: JsonObject): string | null {
  if (!looksLikeLink(list))
    return `is a list but no link [node id as text, slot]; wrap a literal list as {"${WRAPPED}": [...]}`;
  const [target, slot] = list;
  if (typeof slot !== 'number' || !Number.isSafeInteger(slot) || slot < 0)
    return 'links to a slot that is not a whole number from 0';
  if (!Object.hasOwn(graph, target))
    return `links to node '${target.slice(0, MAX_NAME)}', which is not there`;
  return null;
}

/** Literals at any depth: numbers that JSON can carry, no file where none is filled in, no list that turns into a link. */
function literalProblem(value: Json): string | null {
  if (typeof value === 'number' && !Number.isFinite(value)) return 'holds a number too large for JSON';
  if (typeof value !== 'object' || value === null) return null;
  if (!Array.isArray(value)) {
    if (Object.hasOwn(value, FILE_KEY)) return `must hold "${FILE_KEY}" directly, not inside another value`;
    const wrapped = Object.hasOwn(value, WRAPPED) ? value[WRAPPED] : undefined;
    if (wrapped !== undefined && looksLikeLink(wrapped))
      return 'wraps a list of a text and a number, which ComfyUI would follow as a link';
  }
  for (const inner of Object.values(value)) {
    const problem = literalProblem(inner);
    if (problem !== null) return problem;
  }
  return null;
}

function cycleProblems(graph: Graph): NodeProblem[] {
  return findCycles(graph).map(({ nodeId, input, targetId }) => ({
    nodeId,
    nodeType: graph[nodeId]?.class_type ?? null,
    message: `input '${input}' links to node '${targetId}', which itself needs this node: the graph runs in a circle`,
  }));
}
