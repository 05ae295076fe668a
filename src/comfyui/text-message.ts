/** Text messages of the socket: `{"type", "data"}` to one ComfyMessage. Pure, and never throws. */
import { isObject, type Json, type JsonObject } from '../lib/json.ts';
import { asJsonObject, nameField, numberField, objectField, textField, textListField } from './fields.ts';
import { parseLenientJson } from './lenient-json.ts';
import { type ComfyMessage, malformed, type NodeProgress } from './messages.ts';

/** Answers null when a field is missing that the type cannot do without. */
type Reader = (data: JsonObject) => ComfyMessage | null;

const READERS: Readonly<Record<string, Reader>> = {
  status: readStatus,
  execution_start: (data) => withPrompt(data, (promptId) => ({ kind: 'executionStart', promptId })),
  execution_cached: (data) =>
    withPrompt(data, (promptId) => ({
      kind: 'executionCached',
      promptId,
      nodes: textListField(data, 'nodes'),
    })),
  executing: (data) => ({
    kind: 'executing',
    promptId: textField(data, 'prompt_id'),
    node: textField(data, 'node'),
    displayNode: textField(data, 'display_node') ?? textField(data, 'node'),
  }),
  progress: readProgress,
  progress_state: readProgressState,
  executed: readExecuted,
  execution_success: (data) => withPrompt(data, (promptId) => ({ kind: 'executionSuccess', promptId })),
  execution_error: (data) => withPrompt(data, (promptId) => readError(promptId, data)),
  execution_interrupted: (data) =>
    withPrompt(data, (promptId) => ({
      kind: 'executionInterrupted',
      promptId,
      nodeId: textField(data, 'node_id'),
      nodeType: textField(data, 'node_type'),
      executed: textListField(data, 'executed'),
    })),
  feature_flags: (data) => ({
    kind: 'featureFlags',
    supportsPreviewMetadata: data.supports_preview_metadata === true,
    maxUploadBytes: numberField(data, 'max_upload_size'),
  }),
};

/** One text frame. */
export function parseTextMessage(text: string): ComfyMessage {
  const json = parseLenientJson(text);
  return json.ok ? parseMessageValue(json.value) : malformed(json.reason);
}

/** The same for a value that is parsed already. */
export function parseMessageValue(value: Json): ComfyMessage {
  if (!isObject(value) || typeof value.type !== 'string') return malformed('a message without a type');
  const data = (value.data ?? null) as Json;
  const read = Object.hasOwn(READERS, value.type) ? READERS[value.type] : undefined;
  if (!read) {
    const promptId = isObject(data) ? textField(data, 'prompt_id') : null;
    return { kind: 'unknown', type: value.type, promptId, data };
  }
  const fields = asJsonObject(data);
  return (fields && read(fields)) ?? malformed(`${value.type} without its fields`);
}

function withPrompt(data: JsonObject, make: (promptId: string) => ComfyMessage): ComfyMessage | null {
  const promptId = textField(data, 'prompt_id');
  return promptId === null ? null : make(promptId);
}

function readStatus(data: JsonObject): ComfyMessage | null {
  const info = objectField(objectField(data, 'status') ?? {}, 'exec_info');
  const queueRemaining = info && numberField(info, 'queue_remaining');
  return queueRemaining === null ? null : { kind: 'status', queueRemaining, sid: textField(data, 'sid') };
}

function readProgress(data: JsonObject): ComfyMessage | null {
  const value = numberField(data, 'value');
  const max = numberField(data, 'max');
  if (value === null || max === null) return null;
  return {
    kind: 'progress',
    promptId: textField(data, 'prompt_id'),
    node: textField(data, 'node'),
    value,
    max,
  };
}

function readProgressState(data: JsonObject): ComfyMessage | null {
  const nodes = objectField(data, 'nodes');
  if (!nodes) return null;
  return {
    kind: 'progressState',
    promptId: textField(data, 'prompt_id'),
    nodes: Object.entries(nodes).flatMap(([id, node]) => nodeProgress(id, node)),
  };
}

function nodeProgress(id: string, node: Json): NodeProgress[] {
  if (!isObject(node)) return [];
  const nodeId = textField(node, 'node_id') ?? id;
  return [
    {
      nodeId,
      displayNodeId: textField(node, 'display_node_id') ?? nodeId,
      realNodeId: textField(node, 'real_node_id') ?? nodeId,
      state: textField(node, 'state') ?? 'running',
      value: numberField(node, 'value') ?? 0,
      max: numberField(node, 'max') ?? 1,
    },
  ];
}

function readExecuted(data: JsonObject): ComfyMessage | null {
  const promptId = textField(data, 'prompt_id');
  const node = textField(data, 'node');
  if (promptId === null || node === null) return null;
  const displayNode = textField(data, 'display_node') ?? node;
  return { kind: 'executed', promptId, node, displayNode, output: objectField(data, 'output') };
}

function readError(promptId: string, data: JsonObject): ComfyMessage {
  return {
    kind: 'executionError',
    promptId,
    nodeId: nameField(data, 'node_id'),
    nodeType: nameField(data, 'node_type'),
    exceptionType: nameField(data, 'exception_type') ?? 'unknown',
    exceptionMessage: (textField(data, 'exception_message') ?? '').trim(),
    executed: textListField(data, 'executed'),
  };
}
