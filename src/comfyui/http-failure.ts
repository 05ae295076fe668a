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
/** No certificate of the other side is known to be good for its name. */
const UNTRUSTED = /^(UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|CERT_UNTRUSTED|INVALID_CA)/;
const OTHER_NAME = /^(ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_MISMATCH)/;
const SPEAKS_NO_TLS = /^(ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG)/;
/** The handshake came to nothing, so nothing was sent. */
const NO_TLS = new RegExp(
  `${UNTRUSTED.source}|${OTHER_NAME.source}|${SPEAKS_NO_TLS.source}|^(CERT_|ERR_TLS_)`,
);
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
  if (any(NEVER_CONNECTED) || codes.some((code) => NO_TLS.test(code))) return 'refused';
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

/** For `lastError`, one line: what happened, and what to do about it where that is known. */
export function describeFailure(failure: HttpFailure): string {
  switch (failure.reason) {
    case 'refused':
      return describeRefusal(failure.message);
    case 'timeout':
      return 'no answer in time';
    case 'status':
      return `answered with status ${failure.status ?? 0}${adviceOnStatus(failure.status ?? 0)}`;
    default:
      return `${failure.reason}: ${failure.message}`;
  }
}

function describeRefusal(code: string): string {
  if (UNTRUSTED.test(code))
    return `its certificate is not trusted (${code}): name the CA that signed it in NODE_EXTRA_CA_CERTS`;
  if (OTHER_NAME.test(code))
    return `its certificate is for another host name than that of its address (${code})`;
  if (code.startsWith('CERT_')) return `its certificate is not good (${code})`;
  if (SPEAKS_NO_TLS.test(code)) return `it does not speak TLS there (${code}): try http:// in its address`;
  if (code === 'ENOTFOUND') return 'its host name is not known (ENOTFOUND)';
  return `connection refused (${code})`;
}

function adviceOnStatus(status: number): string {
  if (status === 401 || status === 403) return ': the user or password in its address is missing or wrong';
  if (status === 404) return ': no ComfyUI is under the path of its address';
  return status >= 300 && status < 400
    ? ': redirects are not followed, give the address that they lead to'
    : '';
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
