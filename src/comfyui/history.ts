/**
 * History: the only record of how a prompt ended. Its `status_str` cannot be trusted (a cycle at run time says "success",
 * an interrupt says "error"), so the end is decided by the messages in it. (observed on ComfyUI 0.3.64)
 */
import { isObject, type Json, type JsonObject } from '../lib/json.ts';
import { asJsonObject, listField, nameField, objectField, textField, wholeField } from './fields.ts';

export interface HistoryMessage {
  readonly type: string;
  readonly data: JsonObject;
}

/** One ended prompt, without its graph. */
export interface HistoryEntry {
  readonly promptId: string;
  /** Null when the entry holds no readable status. */
  readonly status: string | null;
  readonly messages: readonly HistoryMessage[];
  /** Node id to its ui output; read it with collectOutputItems. Not a sign of success. */
  readonly outputs: JsonObject;
  /** Node of the submitted graph for each node that ran, where they differ. */
  readonly displayNodes: ReadonlyMap<string, string>;
  /** The output nodes it was to run: those that were found valid. Null where the server does not say. */
  readonly asked: readonly string[] | null;
  /** ComfyUI's own clock, epoch ms. */
  readonly startedAt: number | null;
  readonly endedAt: number | null;
}

export type PromptEnd =
  | { readonly kind: 'succeeded' }
  | {
      readonly kind: 'failed';
      readonly nodeId: string | null;
      readonly nodeType: string | null;
      readonly exceptionType: string;
      readonly message: string;
    }
  | { readonly kind: 'interrupted' }
  /** None of the three is in the messages. */
  | { readonly kind: 'unknown' };

export type HistoryReply =
  | { readonly kind: 'entry'; readonly entry: HistoryEntry }
  /** Unknown, pending or running: ComfyUI answers 200 with `{}`. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'malformed'; readonly reason: string };

const ENDS = ['execution_success', 'execution_error', 'execution_interrupted'];

/** The body of GET /history/{id}. */
export function parseHistoryReply(value: Json, promptId: string): HistoryReply {
  if (!isObject(value)) return { kind: 'malformed', reason: 'history is not an object' };
  if (!Object.hasOwn(value, promptId)) return { kind: 'absent' };
  const entry = parseHistoryEntry(promptId, value[promptId]);
  return entry ? { kind: 'entry', entry } : { kind: 'malformed', reason: 'a history entry is not an object' };
}

/** One entry; null when it is not an object at all. */
export function parseHistoryEntry(promptId: string, value: unknown): HistoryEntry | null {
  const entry = asJsonObject(value);
  if (!entry) return null;
  const status = objectField(entry, 'status');
  const messages = status ? listField(status, 'messages').flatMap(historyMessage) : [];
  return {
    promptId,
    status: status && textField(status, 'status_str'),
    messages,
    outputs: objectField(entry, 'outputs') ?? {},
    displayNodes: displayNodes(objectField(entry, 'meta') ?? {}),
    asked: askedNodes(entry),
    startedAt: timestamp(messages.find((message) => message.type === 'execution_start')),
    endedAt: timestamp(messages.findLast((message) => ENDS.includes(message.type))),
  };
}

/** How the prompt ended: interrupted before failed before succeeded, and success only when its message is there. */
export function decideEnd(entry: HistoryEntry): PromptEnd {
  const said = (type: string): HistoryMessage | undefined =>
    entry.messages.find((message) => message.type === type);
  if (said('execution_interrupted')) return { kind: 'interrupted' };
  const error = said('execution_error');
  if (error) {
    return {
      kind: 'failed',
      nodeId: nameField(error.data, 'node_id'),
      nodeType: nameField(error.data, 'node_type'),
      exceptionType: nameField(error.data, 'exception_type') ?? 'unknown',
      message: (textField(error.data, 'exception_message') ?? '').trim(),
    };
  }
  return said('execution_success') ? { kind: 'succeeded' } : { kind: 'unknown' };
}

function historyMessage(value: Json): HistoryMessage[] {
  if (!Array.isArray(value) || typeof value[0] !== 'string') return [];
  return [{ type: value[0], data: asJsonObject(value[1]) ?? {} }];
}

/** The last of [number, id, graph, extra data, output nodes]. */
function askedNodes(entry: JsonObject): string[] | null {
  const asked = listField(entry, 'prompt')[4];
  return Array.isArray(asked) ? asked.filter((node) => typeof node === 'string') : null;
}

function displayNodes(meta: JsonObject): Map<string, string> {
  const result = new Map<string, string>();
  for (const [node, value] of Object.entries(meta)) {
    const display = isObject(value) ? textField(value, 'display_node') : null;
    if (display !== null && display !== node) result.set(node, display);
  }
  return result;
}

function timestamp(message: HistoryMessage | undefined): number | null {
  return message ? wholeField(message.data, 'timestamp') : null;
}
