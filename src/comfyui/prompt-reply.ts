/**
 * What the answer to POST /prompt means for the one question that matters: was it queued? A 200 may still drop invalid
 * outputs silently, and a 500 may come although the prompt was queued (observed on ComfyUI 0.3.64), so "ambiguous" is an
 * answer of its own: the caller looks the id up before it does anything else.
 */
import { isObject, type Json, type JsonObject } from '../lib/json.ts';
import { listField, objectField, textField, textListField } from './fields.ts';
import { type HttpFailure, shorten } from './http-failure.ts';
import { parseLenientJson } from './lenient-json.ts';

export type PromptReply =
  | { readonly kind: 'accepted' }
  /** Queued, but only the valid outputs will run. */
  | { readonly kind: 'acceptedWithNodeErrors'; readonly nodeErrors: readonly NodeErrors[] }
  /** The graph's fault: 400, or 413 for one that is too large. Surely not queued. */
  | {
      readonly kind: 'rejected';
      readonly status: number;
      readonly error: ValidationError;
      readonly nodeErrors: readonly NodeErrors[];
    }
  /** May be queued, or be about to be. */
  | { readonly kind: 'ambiguous'; readonly failure: HttpFailure }
  /** Never reached the instance, or it (or a proxy) would not take it: surely not queued, and not the graph's fault. */
  | { readonly kind: 'refused'; readonly failure: HttpFailure };

export interface ValidationError {
  readonly type: string;
  readonly message: string;
  readonly details: string;
  /** The input it is about, where the server says so. */
  readonly inputName: string | null;
}

export interface NodeErrors {
  readonly nodeId: string;
  readonly nodeType: string | null;
  readonly errors: readonly ValidationError[];
  readonly dependentOutputs: readonly string[];
}

/** The meaning of an answer that arrived whole. */
export function parsePromptReply(status: number, body: string): PromptReply {
  const json = parseLenientJson(body);
  const answer = json.ok && isObject(json.value) ? (json.value as JsonObject) : null;
  if (status === 200) return accepted(answer);
  if (status === 400 || status === 413) {
    return {
      kind: 'rejected',
      status,
      error: validationError(answer?.error ?? null, body),
      nodeErrors: parseNodeErrors(answer?.node_errors ?? null),
    };
  }
  const failure: HttpFailure = { ok: false, reason: 'status', status, message: shorten(body) };
  // a proxy answers 408 and 5xx also when the request went through
  return status >= 500 || status === 408 ? { kind: 'ambiguous', failure } : { kind: 'refused', failure };
}

/** The meaning of no answer. */
export function promptReplyOfFailure(failure: HttpFailure): PromptReply {
  return { kind: failure.reason === 'refused' ? 'refused' : 'ambiguous', failure };
}

function accepted(answer: JsonObject | null): PromptReply {
  if (!answer || typeof answer.prompt_id !== 'string') {
    const failure: HttpFailure = { ok: false, reason: 'malformed', message: 'the answer names no prompt' };
    return { kind: 'ambiguous', failure };
  }
  const nodeErrors = parseNodeErrors(answer.node_errors ?? null);
  return nodeErrors.length > 0 ? { kind: 'acceptedWithNodeErrors', nodeErrors } : { kind: 'accepted' };
}

/** `node_errors` of a 200 or 400; empty when there are none (older servers send a list then). */
export function parseNodeErrors(value: Json): NodeErrors[] {
  if (!isObject(value)) return [];
  return Object.entries(value).map(([nodeId, node]) => {
    const fields = isObject(node) ? node : {};
    return {
      nodeId,
      nodeType: textField(fields, 'class_type'),
      errors: listField(fields, 'errors').map((error) => validationError(error, '')),
      dependentOutputs: textListField(fields, 'dependent_outputs'),
    };
  });
}

function validationError(value: Json, body: string): ValidationError {
  if (!isObject(value)) {
    return {
      type: 'unknown',
      message: typeof value === 'string' ? value : shorten(body),
      details: '',
      inputName: null,
    };
  }
  return {
    type: textField(value, 'type') ?? 'unknown',
    message: textField(value, 'message') ?? '',
    details: textField(value, 'details') ?? '',
    inputName: textField(objectField(value, 'extra_info') ?? {}, 'input_name'),
  };
}
