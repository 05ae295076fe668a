/** The recordings of a real ComfyUI 0.3.64 as data: what a client sent and saw, in the order it happened. */
import { readdirSync, readFileSync } from 'node:fs';

const folder = new URL('../../fixtures/recordings/', import.meta.url);

/** One HTTP exchange; `status` is null when no answer came, then `error` says why. Times are ms from the first POST /prompt. */
export interface RecordedRequest {
  readonly t_ms: number | null;
  readonly took_ms: number | null;
  readonly label?: string;
  readonly method: string;
  readonly path: string;
  readonly query: string | null;
  readonly request_headers: Readonly<Record<string, string>>;
  readonly request_body: unknown;
  readonly status: number | null;
  readonly response_headers?: Readonly<Record<string, string>>;
  readonly response_body?: unknown;
  readonly error?: string;
}

/** One thing that happened on the socket named `client`. */
export interface RecordedEvent {
  readonly t_ms: number | null;
  readonly client: string;
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface Recording {
  readonly scenario: string;
  readonly http: readonly RecordedRequest[];
  readonly ws: readonly RecordedEvent[];
  readonly measured?: unknown;
}

export function recordingNames(): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -'.json'.length))
    .sort();
}

export function loadRecording(name: string): Recording {
  return parseLoose(readFileSync(new URL(`${name}.json`, folder), 'utf8')) as Recording;
}

const BARE = /"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g;
const MARK = '\u0000bare:';

/** JSON as Python writes it: NaN, Infinity and -Infinity may stand where a number may. */
export function parseLoose(text: string): unknown {
  const marked = text.replace(BARE, (token) =>
    token.startsWith('"') ? token : JSON.stringify(MARK + token),
  );
  return JSON.parse(marked, (_key, value) =>
    typeof value === 'string' && value.startsWith(MARK) ? Number(value.slice(MARK.length)) : value,
  );
}

/** The reverse: numbers that JSON has no word for go out as bare tokens. */
export function stringifyLoose(value: unknown): string {
  const marked = JSON.stringify(value, (_key, item) =>
    typeof item === 'number' && !Number.isFinite(item) ? MARK + String(item) : item,
  );
  return marked.replace(/"\\u0000bare:(-?Infinity|NaN)"/g, '$1');
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
