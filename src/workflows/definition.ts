/**
 * A workflow: a graph with typed inputs, each of which is written into one or more places of the graph. The shipped ones
 * are the JSON files of workflows/, read and checked by workflow-file.ts.
 */
import type { Graph, Json } from '../domain/graph.ts';

export const WORKFLOW_INPUT_TYPES = [
  'string',
  'int',
  'float',
  'boolean',
  /** One of `options`, or one of `aliases`, which stand for an option. */
  'enum',
  'image',
  /** A whole number; drawn at random when absent. */
  'seed',
  /** Name of a model file of `modelFolder`; the first the fleet has when absent. */
  'model',
] as const;
export type WorkflowInputType = (typeof WORKFLOW_INPUT_TYPES)[number];

/** One place of the graph that takes an input's value. */
export interface InputTarget {
  readonly node: string;
  readonly input: string;
  /** How the node takes a file: its name (default) or its bytes as base64 text. Only for images. */
  readonly as?: 'name' | 'base64';
}

export interface WorkflowInputDefinition {
  /** camelCase: also the field of the typed mutation's input. */
  readonly name: string;
  readonly type: WorkflowInputType;
  readonly required: boolean;
  /** Taken when the input is absent; absent itself: the graph keeps what it holds. */
  readonly default?: Json;
  readonly description: string;
  /** Bounds of a number, both included. */
  readonly min?: number;
  readonly max?: number;
  /** Bounds of a text's length in characters, both included. */
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly options?: readonly string[];
  /** Other spellings of options: {euler_a: "euler_ancestral"}. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** ComfyUI's folder of a model input, for instance `checkpoints`. */
  readonly modelFolder?: string;
  readonly bind: readonly InputTarget[];
}

export interface WorkflowDefinition {
  /** camelCase: also the name of the typed mutation. */
  readonly name: string;
  readonly description: string;
  readonly inputs: readonly WorkflowInputDefinition[];
  readonly graph: Graph;
  /** Node ids whose results are the point of the workflow. */
  readonly outputs: readonly string[];
}

/** The workflows this process knows, sorted by name. */
export interface WorkflowRegistry {
  list(): readonly WorkflowDefinition[];
  get(name: string): WorkflowDefinition | null;
}

/** The largest seed: every whole number up to it survives JSON and JavaScript unchanged (ComfyUI's own limit is 2^64-1). */
export const MAX_SEED = Number.MAX_SAFE_INTEGER;
