/**
 * Everything a ComfyUI socket may say, as one union. Whatever else arrives is a value too: `unknown` for a type nobody
 * here knows (custom nodes send their own), `malformed` for what cannot be read. `promptId` is null where the wire
 * has none. (observed on ComfyUI 0.3.64)
 */
import type { Json, JsonObject } from '../lib/json.ts';

export type ComfyMessage =
  | StatusMessage
  | ExecutionStartMessage
  | ExecutionCachedMessage
  | ExecutingMessage
  | ProgressMessage
  | ProgressStateMessage
  | ExecutedMessage
  | ExecutionSuccessMessage
  | ExecutionErrorMessage
  | ExecutionInterruptedMessage
  | FeatureFlagsMessage
  | PreviewMessage
  | TextMessage
  | UnknownMessage
  | MalformedMessage;

/** Sent to every socket on connect, enqueue, start, end and delete. */
export interface StatusMessage {
  readonly kind: 'status';
  /** Running and pending prompts together. */
  readonly queueRemaining: number;
  /** The client id; only in the first message of a connection, else null. */
  readonly sid: string | null;
}

export interface ExecutionStartMessage {
  readonly kind: 'executionStart';
  readonly promptId: string;
}

export interface ExecutionCachedMessage {
  readonly kind: 'executionCached';
  readonly promptId: string;
  readonly nodes: readonly string[];
}

/**
 * A node begins; with `node: null` the prompt has ended, however it ended, and its history is readable. Right after
 * a reconnect one comes with the display node only and no prompt id.
 */
export interface ExecutingMessage {
  readonly kind: 'executing';
  readonly promptId: string | null;
  readonly node: string | null;
  readonly displayNode: string | null;
}

export interface ProgressMessage {
  readonly kind: 'progress';
  readonly promptId: string | null;
  readonly node: string | null;
  readonly value: number;
  readonly max: number;
}

/** The whole map, every time; nodes not started yet are absent. A failing node stays `running`. */
export interface ProgressStateMessage {
  readonly kind: 'progressState';
  readonly promptId: string | null;
  readonly nodes: readonly NodeProgress[];
}

export interface NodeProgress {
  readonly nodeId: string;
  /** The node of the submitted graph to show for a node made at run time. */
  readonly displayNodeId: string;
  readonly realNodeId: string;
  /** `running` or `finished`; kept as text, as newer versions may add states. */
  readonly state: string;
  readonly value: number;
  readonly max: number;
}

/** A node with ui output finished; `output` is null for a cached output node without ui. */
export interface ExecutedMessage {
  readonly kind: 'executed';
  readonly promptId: string;
  readonly node: string;
  readonly displayNode: string;
  readonly output: JsonObject | null;
}

/** All done; history is not written yet. */
export interface ExecutionSuccessMessage {
  readonly kind: 'executionSuccess';
  readonly promptId: string;
}

/** Not yet the end: `executing` with a null node follows, and a blocked output may still be followed by success. */
export interface ExecutionErrorMessage {
  readonly kind: 'executionError';
  readonly promptId: string;
  readonly nodeId: string | null;
  readonly nodeType: string | null;
  readonly exceptionType: string;
  readonly exceptionMessage: string;
  readonly executed: readonly string[];
}

export interface ExecutionInterruptedMessage {
  readonly kind: 'executionInterrupted';
  readonly promptId: string;
  readonly nodeId: string | null;
  readonly nodeType: string | null;
  readonly executed: readonly string[];
}

export interface FeatureFlagsMessage {
  readonly kind: 'featureFlags';
  readonly supportsPreviewMetadata: boolean;
  readonly maxUploadBytes: number | null;
}

/**
 * A picture. With `metadata` (event 4) it is a preview and says whose. Without (event 1) it is, on a connection that
 * announced preview metadata, a **result** of the node of the last `executing`; elsewhere it may be a preview of anyone.
 */
export interface PreviewMessage {
  readonly kind: 'preview';
  readonly promptId: string | null;
  readonly nodeId: string | null;
  readonly displayNodeId: string | null;
  readonly mimeType: string;
  readonly image: Uint8Array;
  readonly metadata: boolean;
}

/** Live text of a node (event 3). */
export interface TextMessage {
  readonly kind: 'text';
  readonly nodeId: string;
  readonly text: string;
}

export interface UnknownMessage {
  readonly kind: 'unknown';
  readonly type: string;
  readonly promptId: string | null;
  readonly data: Json;
}

export interface MalformedMessage {
  readonly kind: 'malformed';
  /** What is wrong, without any content of the message. */
  readonly reason: string;
}

export function malformed(reason: string): MalformedMessage {
  return { kind: 'malformed', reason };
}
