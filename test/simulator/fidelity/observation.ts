/**
 * What a client saw, recorded or replayed, in one form, so that the two can be laid side by side:
 * per socket the sequence of messages, per HTTP request the answer.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { describeFrame, fileKind, pngTexts } from './frames.ts';
import type { Answer } from './http-call.ts';
import {
  isRecord,
  parseLoose,
  type RecordedEvent,
  type RecordedRequest,
  type Recording,
} from './recording.ts';

export interface Observation {
  readonly sockets: Readonly<Record<string, readonly SocketItem[]>>;
  readonly answers: readonly AnswerSeen[];
}

export type SocketItem =
  | { readonly type: 'text'; readonly data: unknown }
  /** A long text of which the recording keeps only the beginning. */
  | { readonly type: 'text'; readonly head: string }
  | { readonly type: 'binary'; readonly frame: unknown }
  | { readonly type: 'opened'; readonly status: number; readonly extensions: boolean }
  | { readonly type: 'refused'; readonly status: number | null }
  | { readonly type: 'closed'; readonly code: number }
  | { readonly type: 'state'; readonly facts: unknown };

export interface AnswerSeen {
  readonly title: string;
  /** `none` when nobody answered, `silent` when the connection stood and no answer came. */
  readonly status: number | 'none' | 'silent';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: BodySeen;
}

export type BodySeen =
  | { readonly kind: 'json'; readonly json: unknown }
  | { readonly kind: 'head'; readonly head: string }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'file'; readonly file: string; readonly texts?: Readonly<Record<string, string>> };

/** Headers that say something about behaviour; dates, lengths, validators and hop-by-hop ones do not. */
const HEADERS = [
  'content-type',
  'content-disposition',
  'content-range',
  'content-encoding',
  'accept-ranges',
  'allow',
  'cache-control',
  'access-control-allow-origin',
  'access-control-allow-methods',
  'access-control-allow-headers',
  'access-control-allow-credentials',
] as const;

export function titleOf(request: RecordedRequest, index: number): string {
  const query = request.query ? `?${request.query}` : '';
  const label = request.label ? ` (${request.label})` : '';
  return `#${index} ${request.method} ${request.path}${query}${label}`;
}

export function observeRecording(recording: Recording): Observation {
  const sockets: Record<string, SocketItem[]> = {};
  for (const event of recording.ws) {
    const item = recordedItem(event);
    if (item) sockets[event.client] = [...(sockets[event.client] ?? []), item];
  }
  return { sockets, answers: recording.http.map(recordedAnswer) };
}

function recordedItem(event: RecordedEvent): SocketItem | undefined {
  switch (event.type) {
    case 'open':
      return {
        type: 'opened',
        status: Number(event.status),
        extensions: isRecord(event.response_headers) && 'sec-websocket-extensions' in event.response_headers,
      };
    case 'handshake_refused':
      return { type: 'refused', status: Number(event.status) };
    case 'connect_failed':
      return { type: 'refused', status: null };
    case 'text':
      if (typeof event.head === 'string') return { type: 'text', head: event.head };
      return { type: 'text', data: typeof event.raw === 'string' ? parseLoose(event.raw) : event.data };
    case 'binary':
      return { type: 'binary', frame: recordedFrame(event) };
    case 'closed':
      return event.by === 'server' ? { type: 'closed', code: Number(event.code) } : undefined;
    case 'state':
      return { type: 'state', facts: factsOf(event) };
    default:
      return undefined;
  }
}

/** What the rig noted about the server at that moment; the exit code of its process has no counterpart here. */
function factsOf(event: RecordedEvent): unknown {
  const notFacts = ['t_ms', 'client', 'type', 'return_code'];
  return Object.fromEntries(Object.entries(event).filter(([name]) => !notFacts.includes(name)));
}

function recordedFrame(event: RecordedEvent): unknown {
  const head = Buffer.from(String(event.head_hex), 'hex');
  if (event.event !== 4) return describeFrame(head);
  const magic = Buffer.from(String(event.payload_magic), 'hex');
  return { event: 4, metadata: event.metadata, picture: fileKind(magic) };
}

function recordedAnswer(request: RecordedRequest, index: number): AnswerSeen {
  const title = titleOf(request, index);
  if (request.status === null) {
    const status = request.error?.startsWith('Timeout') ? 'silent' : 'none';
    return { title, status, headers: {}, body: { kind: 'text', text: '' } };
  }
  const headers = pickHeaders(request.response_headers ?? {});
  return { title, status: request.status, headers, body: recordedBody(request.response_body, headers) };
}

function recordedBody(body: unknown, headers: Readonly<Record<string, string>>): BodySeen {
  if (isRecord(body) && body.binary === true) {
    if (typeof body.base64 === 'string') return wholeFile(Buffer.from(body.base64, 'base64'));
    return { kind: 'file', file: fileKind(Buffer.from(String(body.head_base64), 'base64')) };
  }
  if (isRecord(body) && body.truncated === true) return { kind: 'head', head: String(body.head) };
  if (typeof body === 'string' && (body === '' || !isJson(headers))) return { kind: 'text', text: body };
  // A body that is JSON only for Python was kept as text.
  return { kind: 'json', json: typeof body === 'string' ? parseLoose(body) : body };
}

/** The same description of an answer that really came. */
export function observeAnswer(answer: Answer, request: RecordedRequest, index: number): AnswerSeen {
  const title = titleOf(request, index);
  if (answer.kind !== 'answer') {
    const status = answer.kind === 'silent' ? 'silent' : 'none';
    return { title, status, headers: {}, body: { kind: 'text', text: '' } };
  }
  const headers = pickHeaders(answer.headers);
  return { title, status: answer.status, headers, body: actualBody(answer.body, headers, request) };
}

function actualBody(
  body: Buffer,
  headers: Readonly<Record<string, string>>,
  request: RecordedRequest,
): BodySeen {
  const recorded = request.response_body;
  if (isRecord(recorded) && recorded.binary === true) {
    return 'base64' in recorded ? wholeFile(body) : { kind: 'file', file: fileKind(body) };
  }
  if (isRecord(recorded) && recorded.truncated === true) return { kind: 'head', head: body.toString('utf8') };
  const text = body.toString('utf8');
  if (!isJson(headers) || text === '') return { kind: 'text', text };
  return { kind: 'json', json: parseLoose(text) };
}

function wholeFile(file: Buffer): BodySeen {
  return { kind: 'file', file: fileKind(file), texts: pngTexts(file) ?? {} };
}

function isJson(headers: Readonly<Record<string, string>>): boolean {
  return headers['content-type']?.startsWith('application/json') ?? false;
}

function pickHeaders(
  headers: IncomingHttpHeaders | Readonly<Record<string, string>>,
): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const name of HEADERS) {
    const value = (headers as Record<string, unknown>)[name];
    if (typeof value === 'string') picked[name] = value;
  }
  if (String(headers.connection).toLowerCase() === 'close') picked.connection = 'close';
  return picked;
}
