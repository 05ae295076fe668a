/**
 * What a graph needs and what an instance has: the two sides the planner matches before anything else. A need is a
 * node type or the name of a model file exactly as the graph writes it, because ComfyUI compares names letter by letter.
 */
import { createHash } from 'node:crypto';
import type { Graph, Json } from './graph.ts';

/** One model file an instance lists; `kind` is ComfyUI's folder name (checkpoints, loras, ...) or `other`. */
export interface ModelFile {
  readonly kind: string;
  readonly name: string;
}

/** What one instance can run, as read from its node list. */
export interface Inventory {
  readonly nodeTypes: readonly string[];
  readonly models: readonly ModelFile[];
}

/** What a graph names, each list sorted and without repeats. */
export interface Needs {
  readonly nodeTypes: readonly string[];
  readonly models: readonly string[];
}

const MODEL_FILE = /\.(safetensors|sft|ckpt|pt2?|pth|bin|gguf|onnx|pkl|engine)$/i;
const LONGEST_NAME = 260;
/** Inputs that hold words of the user or names of results: never a model, even when they end like one. */
const FREE_TEXT_INPUT =
  /^(text|prompt|positive|negative|string|value|caption|filename_prefix)$|_(text|prompt)$|^(text|prompt)_/;

/** True for a single-line name that ends like a model file. */
export function isModelFileName(name: string): boolean {
  return name.length <= LONGEST_NAME && !/[\r\n]/.test(name) && MODEL_FILE.test(name);
}

/** What an instance must have to run the graph. */
export function needsOf(graph: Graph): Needs {
  const nodeTypes = new Set<string>();
  const models = new Set<string>();
  for (const node of Object.values(graph)) {
    nodeTypes.add(node.class_type);
    for (const [input, value] of Object.entries(node.inputs)) {
      if (FREE_TEXT_INPUT.test(input)) continue;
      for (const name of modelNames(value)) models.add(name);
    }
  }
  return { nodeTypes: [...nodeTypes].sort(), models: [...models].sort() };
}

/** A literal, or one level inside an object: stacked loaders keep `{on, lora, strength}` in one input. */
function modelNames(value: Json): string[] {
  const candidates =
    typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.values(value) : [value];
  return candidates.filter(
    (candidate): candidate is string => typeof candidate === 'string' && isModelFileName(candidate),
  );
}

/** A short stable name of a class of needs; equal needs have equal keys on every replica. */
export function needsKey(needs: Needs): string {
  const canonical = JSON.stringify([[...needs.nodeTypes].sort(), [...needs.models].sort()]);
  return createHash('sha256').update(canonical).digest('hex').slice(0, 16);
}

/** What an instance lacks. An inventory that was not read yet (null) lacks nothing: the instance may be able. */
export function missingFrom(needs: Needs, inventory: Inventory | null): Needs {
  if (!inventory) return { nodeTypes: [], models: [] };
  const nodeTypes = new Set(inventory.nodeTypes);
  const models = new Set(inventory.models.map((model) => model.name));
  return {
    nodeTypes: needs.nodeTypes.filter((nodeType) => !nodeTypes.has(nodeType)),
    models: needs.models.filter((model) => !models.has(model)),
  };
}
