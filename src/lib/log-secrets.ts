/**
 * What a log line shows. Fields that hold secrets, or what users typed, are replaced by name, however deep they lie; errors
 * show what is known to be harmless of them; and the finished line loses logins and queries of addresses, and values that
 * libraries quote in their messages. pino's own `redact` reaches a fixed depth and makes a line ten times as dear.
 */
import { isObject } from './json.ts';

const HIDDEN = '[redacted]';

/** Names of fields that never show. */
const SECRET_FIELD =
  /authorization|cookie|password|passwd|secret|token|credential|api.?key|access.?key|signing.?key|signature|^(login|userinfo|headers|body|query|variables|inputs|prompt|graph|dataUri|labels|filename|idempotencyKey|databaseUrl|redisUrl|storageUrl|config)$/i;

const DEEPEST = 5;

/** The fields of a line as they may be shown. */
export function shownFields(fields: object): Record<string, unknown> {
  return shownObject(fields, 0);
}

function shownObject(fields: object, depth: number): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    shown[key] = SECRET_FIELD.test(key) ? HIDDEN : shownValue(value, depth);
  }
  return shown;
}

function shownValue(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth === DEEPEST) return '[deep]';
  if (value instanceof Error) return shownError(value, depth);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.map((item) => shownValue(item, depth + 1));
  // dates and addresses say themselves what they are
  if ('toJSON' in value) return value;
  return shownObject(value, depth + 1);
}

/** Not its other properties: those of libraries hold parameters, headers, addresses with passwords, and whole documents. */
function shownError(error: Error, depth: number): object {
  const { message, stack, cause } = error;
  const code: unknown = 'code' in error ? error.code : undefined;
  const errors: unknown = 'errors' in error ? error.errors : undefined;
  return {
    type: error.constructor?.name ?? error.name,
    message,
    ...((typeof code === 'string' || typeof code === 'number') && { code }),
    stack,
    ...(isObject(cause) && { cause: shownValue(cause, depth + 1) }),
    ...(Array.isArray(errors) && { errors: shownValue(errors.slice(0, 10), depth + 1) }),
  };
}

/** One character within a JSON string; an escaped line break ends what it stands in. */
const CHARACTER = String.raw`(?:[^\s"\\]|\\[^nrt])`;

/** In the text of a finished line. Each keeps the line JSON: it takes whole characters of a string, never its end. */
const LEAKS: readonly (readonly [RegExp, string])[] = [
  // user:password@ before a host
  [new RegExp(String.raw`:\/\/(?:(?![/?#])${CHARACTER})*@`, 'g'), '://'],
  // the query of an address: signatures and parameters
  [new RegExp(String.raw`\?[\w.~%+\-[\]]+=${CHARACTER}*`, 'g'), `?${HIDDEN}`],
  // data:image/png;base64,...
  [new RegExp(String.raw`data:[\w.+/-]+;base64,${CHARACTER}*`, 'g'), `data:${HIDDEN}`],
  // what JSON.parse was given
  [/Unexpected token (?:[^"\\]|\\.)*? is not valid JSON/g, 'Unexpected token: not valid JSON'],
  // what Postgres could not read as a number or a time
  [/(invalid input (?:syntax|value) for [\w ]+: )\\"(?:(?!\\n +at )(?:[^"\\]|\\.))*/g, `$1${HIDDEN}`],
];

/** The line without what its texts quote. */
export function withoutSecrets(line: string): string {
  return LEAKS.reduce((text, [leak, instead]) => text.replace(leak, instead), line);
}
