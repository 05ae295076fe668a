/**
 * A workflow graph in ComfyUI's API format: node id to {class_type, inputs}. An input is a literal or a link
 * [node id, slot]. Where a node takes a file, our stored graphs hold a FileRef under "$file"; the name (or the base64
 * text) is put in only when the graph is sent to an instance.
 */
import type { Json, JsonObject } from '../lib/json.ts';

export interface GraphNode {
  readonly class_type: string;
  readonly inputs: JsonObject;
  readonly _meta?: JsonObject;
}

export type Graph = Readonly<Record<string, GraphNode>>;

/** A stored file that a node takes, by content; `as` says whether the node wants a file name or base64 text. */
export interface FileRef {
  readonly sha256: string;
  readonly mimeType: string;
  readonly as: 'name' | 'base64';
}

export interface GraphProblem {
  readonly path: readonly string[];
  readonly message: string;
}
export type { Json, JsonObject };
