/**
 * JSON as Python reads and writes it: NaN, Infinity and -Infinity are bare tokens on the wire. Inside the simulator
 * such a number travels as one of three marker texts, so that plain JSON.stringify can be used everywhere.
 */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

const MARK = '\u0001python-number:';
export const NAN = `${MARK}NaN`;
export const INFINITY = `${MARK}Infinity`;
const MINUS_INFINITY = `${MARK}-Infinity`;
const WRITTEN_MARK = /"\\u0001python-number:(NaN|-?Infinity)"/g;
const TOKENS = /"(?:[^"\\]|\\.)*"|-Infinity|Infinity|NaN/g;

/** How JavaScript writes the largest seed, 2^64 - 1, which it cannot hold exactly. */
const ROUNDED = '18446744073709552000';

/** Text of a value, compact, with bare NaN and Infinity tokens where Python would write them. */
export function toJsonText(value: unknown): string {
  const written = JSON.stringify(value);
  const text = written.includes(ROUNDED) ? written.replaceAll(ROUNDED, '18446744073709551615') : written;
  return text.includes('\\u0001python') ? text.replace(WRITTEN_MARK, '$1') : text;
}

/** The same with Python's separators and ASCII only, as json.dumps writes it into PNG text chunks. */
export function toPythonJsonText(value: Json): string {
  return spaced(value).replace(WRITTEN_MARK, '$1');
}

function spaced(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`;
  if (value !== null && typeof value === 'object') {
    return `{${Object.entries(value)
      .map(([key, item]) => `${ascii(key)}: ${spaced(item)}`)
      .join(', ')}}`;
  }
  return typeof value === 'string' ? ascii(value) : JSON.stringify(value);
}

function ascii(text: string): string {
  const written = JSON.stringify(text);
  if (!BEYOND_ASCII.test(written)) return written;
  return written.replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
const BEYOND_ASCII = /[\u007f-\uffff]/;

/** Parses what Python's json.loads would take; undefined when it would raise. */
export function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    if (!/NaN|Infinity/.test(text)) return undefined;
  }
  try {
    const marked = text.replace(TOKENS, (token) =>
      token.startsWith('"') ? token : JSON.stringify(MARK + token),
    );
    return JSON.parse(marked) as Json;
  } catch {
    return undefined;
  }
}

/** Python's float(x) of a JSON value: a number, or undefined when it would raise. */
export function toFloat(value: Json): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (value === NAN) return Number.NaN;
  if (value === INFINITY) return Number.POSITIVE_INFINITY;
  if (value === MINUS_INFINITY) return Number.NEGATIVE_INFINITY;
  if (typeof value !== 'string') return undefined;
  const text = value.trim().toLowerCase().replaceAll('_', '');
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/.test(text)) return Number(text);
  if (/^[+-]?nan$/.test(text)) return Number.NaN;
  const infinite = /^([+-]?)inf(inity)?$/.exec(text);
  if (infinite) return infinite[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return undefined;
}

/** A number as a JSON value again. */
export function fromFloat(number: number): Json {
  if (Number.isNaN(number)) return NAN;
  if (number === Number.POSITIVE_INFINITY) return INFINITY;
  return number === Number.NEGATIVE_INFINITY ? MINUS_INFINITY : number;
}

/** Python's str(x) of a JSON value (repr inside containers). */
export function toStr(value: Json): string {
  return typeof value === 'string' ? (value.startsWith(MARK) ? markName(value) : value) : toRepr(value);
}

function markName(value: string): string {
  return value === NAN ? 'nan' : value === INFINITY ? 'inf' : '-inf';
}

/** Python's repr(x) of a JSON value. */
export function toRepr(value: Json): string {
  if (value === null) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') {
    if (value.startsWith(MARK)) return markName(value);
    const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
    const escaped = value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll(quote, `\\${quote}`);
    return quote + escaped + quote;
  }
  if (Array.isArray(value)) return `[${value.map(toRepr).join(', ')}]`;
  return `{${Object.entries(value)
    .map(([key, item]) => `${toRepr(key)}: ${toRepr(item)}`)
    .join(', ')}}`;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether two JSON values are equal as Python compares dicts and lists. */
export function sameJson(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => sameJson(item, b[index]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && sameJson(a[key], b[key]));
}
