/**
 * Says whether two submissions under one idempotency key are the same: workflow or graph, inputs as sent with the bytes
 * of a file replaced by their SHA-256, and the options; waiting and random defaults play no part. Pure.
 */
import { createHash } from 'node:crypto';
import { canonicalJson, isObject, type Json } from '../lib/json.ts';
import type { FileSlot } from './draft.ts';
import type { ImageSource } from './sources.ts';
import type { SubmitRequest } from './submission.ts';
import type { SubmitOptions } from './submit-options.ts';

/** True for sources whose bytes came with the request; the others are told apart by what was sent. */
export function carriesBytes(source: ImageSource): boolean {
  return 'upload' in source || 'dataUri' in source;
}

/** `sha256s` has the hash of each slot's picture; only those of slots that carry bytes are used. */
export function bodyHash(
  request: SubmitRequest,
  options: SubmitOptions,
  slots: readonly FileSlot[],
  sha256s: readonly (string | undefined)[],
): string {
  const sourceAt = new Map<string, Json>();
  slots.forEach(({ path, source }, index) => {
    const sha256 = sha256s[index];
    if (carriesBytes(source) && sha256 !== undefined) sourceAt.set(JSON.stringify(path), { sha256 });
  });
  const { priority, labels, timeoutMs, deadlineMs, maxAttempts } = options;
  const body = {
    workflow: request.workflow ?? null,
    graph: withHashes(request.graph ?? null, ['graph'], sourceAt),
    inputs: withHashes(withoutNulls(request.inputs ?? {}), ['inputs'], sourceAt),
    ...{ priority, labels, timeoutMs, deadlineMs, maxAttempts },
  };
  return createHash('sha256').update(canonicalJson(body)).digest('hex');
}

/** The value with the sources at the given paths replaced. Nothing deeper than a node's "$file" can be one. */
function withHashes(value: unknown, path: readonly string[], sourceAt: ReadonlyMap<string, Json>): Json {
  if (sourceAt.size === 0) return value as Json;
  const replaced = sourceAt.get(JSON.stringify(path));
  if (replaced !== undefined) return replaced;
  if (path.length > 4 || !isObject(value)) return value as Json;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, withHashes(inner, [...path, key], sourceAt)]),
  );
}

/** An input that is null is an absent one, as GraphQL clients send it. */
function withoutNulls(inputs: object): object {
  return Object.fromEntries(
    Object.entries(inputs).filter(([, value]) => value !== null && value !== undefined),
  );
}
