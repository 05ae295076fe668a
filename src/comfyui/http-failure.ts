/** Why a call to an instance gave no usable answer, as a value, and how errors of the HTTP client are sorted into it. */
import { errors } from 'undici';
import { UploadSourceError } from './multipart.ts';

export interface HttpFailure {
  readonly ok: false;
  readonly reason: HttpFailureReason;
  /** Only with reason `status`. */
  readonly status?: number;
  /** For logs and `lastError`: one line, no content of a prompt. */
  readonly message: string;
}

export type HttpFailureReason =
  /** No connection came about: nothing was sent. */
  | 'refused'
  /** The deadline passed; the request may have been carried out. */
  | 'timeout'
  /** The connection broke; the request may have been carried out. */
  | 'reset'
  /** An answer with a status that the call does not expect. */
  | 'status'
  /** An answer that cannot be read, or is larger than allowed. */
  | 'malformed'
  /** The caller's signal. */
  | 'aborted'
  /** The bytes to upload could not be read, or are not as many as announced. */
  | 'source';

const NEVER_CONNECTED = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
]);
const TIMEOUTS = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT']);
const UNREADABLE = new Set(['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'UND_ERR_HEADERS_OVERFLOW']);

/** The failure behind an error thrown by the HTTP client. */
export function failureOfError(error: unknown): HttpFailure {
  if (error instanceof UploadSourceError) return { ok: false, reason: 'source', message: error.message };
  if (error instanceof errors.HTTPParserError) return { ok: false, reason: 'malformed', message: 'not HTTP' };
  const codes = errorCodes(error);
  const message = codes[0] ?? (error instanceof Error ? error.name : 'unknown error');
  return { ok: false, reason: reasonOf(codes), message };
}

function reasonOf(codes: readonly string[]): HttpFailureReason {
  const any = (set: ReadonlySet<string>): boolean => codes.some((code) => set.has(code));
  if (any(NEVER_CONNECTED) || codes.some((code) => /^(CERT_|ERR_TLS_|DEPTH_ZERO|SELF_SIGNED)/.test(code))) {
    return 'refused';
  }
  if (any(TIMEOUTS)) return 'timeout';
  return any(UNREADABLE) ? 'malformed' : 'reset';
}

/**
 * The machine answered that no process listens: whatever ran there is gone. All else that keeps a connection from coming
 * about (no route, no name, no answer) may be the network's doing, while the instance works on.
 */
export function nobodyListens(failure: HttpFailure): boolean {
  return failure.reason === 'refused' && failure.message === 'ECONNREFUSED';
}

/** Codes of the error, its cause and, where several addresses were tried, of each try. */
function errorCodes(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const own = 'code' in error && typeof error.code === 'string' ? [error.code] : [];
  const tries = error instanceof AggregateError ? error.errors.flatMap(errorCodes) : [];
  const cause = error.cause === undefined || error.cause === error ? [] : errorCodes(error.cause);
  return [...own, ...tries, ...cause];
}

/** The first line of an answer's text, short enough for a log. */
export function shorten(text: string): string {
  return (text.split('\n', 1)[0] ?? '').slice(0, 200);
}
