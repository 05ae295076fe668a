/** What a node class is to the engine: its declared inputs and outputs, and what it does when it runs. */

import type { Picture } from './pictures.ts';
import { PythonError } from './python-error.ts';
import type { Json, JsonObject } from './python-json.ts';

/** A type name, or the choices of a list input (which may be looked up: model and input files). */
export type InputType =
  | string
  | readonly string[]
  | ((world: NodeWorld) => readonly string[] | Promise<readonly string[]>);
export type InputSpec = readonly [type: InputType, config?: JsonObject];
export type Inputs = Readonly<Record<string, InputSpec>>;

/** Outputs for following nodes, ui output for the client, or a graph to run in the node's place. */
export interface NodeResult {
  readonly outputs?: readonly unknown[];
  readonly ui?: Record<string, unknown[]>;
  readonly expand?: { readonly graph: JsonObject; readonly result: readonly Json[] };
}

export interface NodeClass {
  readonly name: string;
  readonly displayName?: string;
  readonly category: string;
  readonly description?: string;
  readonly pythonModule?: string;
  readonly required: Inputs;
  readonly optional?: Inputs;
  readonly hidden?: Readonly<Record<string, string>>;
  readonly outputs: readonly string[];
  readonly outputNames?: readonly string[];
  readonly outputTooltips?: readonly string[];
  readonly isOutput?: boolean;
  /** A coroutine in ComfyUI: started first, and others run beside it. */
  readonly isAsync?: boolean;
  /** ComfyUI's IS_CHANGED: part of the cache key. */
  readonly changed?: (inputs: JsonObject, world: NodeWorld) => Json | Promise<Json>;
  /** ComfyUI's VALIDATE_INPUTS for one input: true, or the text of the complaint. */
  readonly check?: {
    readonly input: string;
    readonly run: (value: Json, world: NodeWorld) => Promise<true | string>;
  };
  readonly run: (call: NodeCall) => NodeResult | Promise<NodeResult>;
}

/** A preview or a result that goes out as a binary frame. */
export interface Frame {
  readonly format: 'JPEG' | 'PNG';
  readonly bytes: Buffer;
}

/** What of the server's surroundings a node may look at. */
export interface NodeWorld {
  models(folder: string): readonly string[];
  inputFiles(): Promise<readonly string[]>;
  /** Where a file of the input folder (or "name [type]") is; undefined when it does not exist. */
  inputPath(name: string): Promise<string | undefined>;
}

/** One execution of one node. */
export interface NodeCall extends NodeWorld {
  readonly nodeId: string;
  readonly inputs: Readonly<Record<string, unknown>>;
  /** The whole prompt and what the client attached: they go into saved files. */
  readonly prompt: () => JsonObject;
  readonly extraPngInfo: Json;
  /** Lives as long as the node keeps its id and class from prompt to prompt. */
  readonly instance: Map<string, string>;
  readonly stepMs: number;
  readonly previews: boolean;
  random(): number;
  /** Waits; the process may end meanwhile, then it never comes back. */
  sleep(ms: number): Promise<void>;
  /** Reports progress; throws InterruptedRun when an interrupt is pending. */
  progress(value: number, max: number, frame?: Frame): Promise<void>;
  sendFrame(frame: Frame): void;
  sendText(text: string): void;
  /** Pays for loading unless the model is resident. */
  useModel(name: string): Promise<void>;
  /** Writes one file with the next free number and returns its entry for the ui output. */
  save(file: SavedFile): Promise<SavedEntry>;
}

export interface SavedFile {
  readonly type: 'output' | 'temp';
  readonly prefix: string;
  readonly extension: string;
  readonly size?: { readonly width: number; readonly height: number };
  readonly bytes: Buffer;
  /** No number: the prefix is the name. */
  readonly exactName?: boolean;
}

export interface SavedEntry {
  readonly filename: string;
  readonly subfolder: string;
  readonly type: string;
  [key: string]: unknown;
}

/** The interrupt flag was up. */
export class InterruptedRun extends Error {}

/** What a node returns to stop what follows; with a message it is reported, the run goes on. */
export class ExecutionBlocker {
  readonly message: string | null;
  constructor(message: string | null) {
    this.message = message;
  }
}

/** A batch of pictures as nodes hand it on. */
export interface ImageBatch {
  readonly kind: 'image';
  readonly pictures: readonly Picture[];
}
export interface MaskBatch {
  readonly kind: 'mask';
  readonly pictures: readonly Picture[];
}

export function images(pictures: readonly Picture[]): ImageBatch {
  return { kind: 'image', pictures };
}

/** The pictures of an IMAGE or MASK input; a node that is handed something else fails as Python would. */
export function picturesOf(value: unknown): readonly Picture[] {
  const batch = value as ImageBatch | MaskBatch | undefined;
  if (batch?.kind === 'image' || batch?.kind === 'mask') return batch.pictures;
  throw new PythonError('TypeError', "'NoneType' object is not iterable");
}

export function num(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
export function str(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
