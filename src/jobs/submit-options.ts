/** The options every submission takes beside its inputs: checked all at once, defaults filled in. Pure. */
import { isObject, type JsonObject } from '../lib/json.ts';
import type { Issue } from './sources.ts';
import type { SubmitRequest } from './submission.ts';

export interface SubmitOptions {
  readonly priority: number;
  readonly labels: JsonObject;
  readonly idempotencyKey: string | null;
  /** Null: the default of the configuration. The three below likewise. */
  readonly timeoutMs: number | null;
  /** Null: no deadline. */
  readonly deadlineMs: number | null;
  readonly maxAttempts: number | null;
}

export const DEFAULT_PRIORITY = 5;
const DAY_MS = 86_400_000;
const MAX_TIMEOUT_MS = DAY_MS;
const MAX_DEADLINE_MS = 30 * DAY_MS;
const MAX_KEY = 255;
export const MAX_LABELS = 32;
const MAX_LABEL_NAME = 64;
const MAX_LABEL_TEXT = 255;

export function checkOptions(request: SubmitRequest): { options: SubmitOptions; issues: Issue[] } {
  const issues: Issue[] = [];
  const number = (
    name: 'priority' | 'timeoutMs' | 'deadlineMs' | 'maxAttempts',
    max: number,
  ): number | null => {
    const value = request[name] ?? null;
    if (value === null) return null;
    // Durations may be Floats in the API; fractions of a ms mean nothing to a timer.
    const whole = name.endsWith('Ms') ? Math.round(value) : value;
    if (Number.isSafeInteger(whole) && whole >= 1 && whole <= max) return whole;
    issues.push({ path: [name], message: `must be a whole number from 1 to ${max}` });
    return null;
  };
  const idempotencyKey = request.idempotencyKey ?? null;
  if (idempotencyKey !== null && (idempotencyKey.length === 0 || idempotencyKey.length > MAX_KEY))
    issues.push({ path: ['idempotencyKey'], message: `must be a text of 1 to ${MAX_KEY} characters` });
  const labels = request.labels ?? {};
  issues.push(...labelIssues(labels));
  const options = {
    priority: number('priority', 10) ?? DEFAULT_PRIORITY,
    labels,
    idempotencyKey,
    timeoutMs: number('timeoutMs', MAX_TIMEOUT_MS),
    deadlineMs: number('deadlineMs', MAX_DEADLINE_MS),
    maxAttempts: number('maxAttempts', 10),
  };
  return { options, issues };
}

/** Labels are flat texts, so that filters mean one thing: equal or not. */
function labelIssues(labels: JsonObject): Issue[] {
  if (!isObject(labels)) return [{ path: ['labels'], message: 'must be an object of texts' }];
  const entries = Object.entries(labels);
  if (entries.length > MAX_LABELS)
    return [{ path: ['labels'], message: `must have at most ${MAX_LABELS} entries` }];
  return entries.flatMap(([name, value]) => {
    const path = ['labels', name.slice(0, MAX_LABEL_NAME)];
    if (name === '' || name.length > MAX_LABEL_NAME || name === '__proto__')
      return [{ path, message: `must have a name of 1 to ${MAX_LABEL_NAME} characters` }];
    if (typeof value !== 'string' || value.length > MAX_LABEL_TEXT)
      return [{ path, message: `must be a text of at most ${MAX_LABEL_TEXT} characters` }];
    return [];
  });
}
