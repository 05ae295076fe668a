/**
 * What may be bound to a statement, decided before it reaches libsql, which answers mistakes badly (seen in 0.5): a
 * boolean aborts the process, a number binds as REAL even when whole, NaN silently becomes NULL, text ends at a NUL.
 */

export type BoundValue = string | number | bigint | Buffer | null;

/** Half of a surrogate pair, which UTF-8 does not have. */
const LONE_SURROGATE = /\p{Surrogate}/gu;
/** Whole pairs too; found, or not, several times faster. */
const ANY_SURROGATE = /[\uD800-\uDFFF]/;

/**
 * The value as libsql must get it: booleans as 0/1, whole numbers as bigint (which binds as INTEGER), other finite numbers
 * as they are. Characters that no text column holds become U+FFFD. Anything else throws a TypeError: a bug of the caller.
 */
export function toBound(value: unknown): BoundValue {
  switch (typeof value) {
    case 'string':
      return textToBound(value);
    case 'number':
      return numberToBound(value);
    case 'boolean':
      return value ? 1n : 0n;
    case 'bigint':
      // A wider integer could be written but would be read back as another number.
      if (BigInt(Number(value)) !== value || !Number.isSafeInteger(Number(value)))
        throw new TypeError(`an integer beyond 2^53 cannot be a parameter: ${value}`);
      return value;
    default:
      if (value === null || Buffer.isBuffer(value)) return value;
      throw new TypeError(`a parameter must be text, a number, a Buffer or null, not ${describe(value)}`);
  }
}

function textToBound(value: string): string {
  const whole = value.replaceAll('\0', '\uFFFD');
  return ANY_SURROGATE.test(whole) ? whole.replace(LONE_SURROGATE, '\uFFFD') : whole;
}

function numberToBound(value: number): number | bigint {
  if (Number.isSafeInteger(value)) return BigInt(value);
  if (!Number.isFinite(value) || Number.isInteger(value))
    throw new TypeError(`this number cannot be a parameter: ${value}`);
  return value;
}

function describe(value: unknown): string {
  if (typeof value !== 'object') return typeof value;
  return value?.constructor?.name ?? 'object';
}
