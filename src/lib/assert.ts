/** Checks that turn a bug into a clear throw. Expected failures are values, never these. */

/** Ends a `switch` over a union: the compiler proves that nothing is left, the throw guards data from outside. */
export function assertNever(value: never, what = 'value'): never {
  throw new Error(`unexpected ${what}: ${JSON.stringify(value)}`);
}

/** Throws unless the condition holds; the message says which rule of ours was broken. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}

/** The value, or a throw when it is null or undefined where our own rules say that it cannot be. */
export function present<T>(value: T | null | undefined, what: string): T {
  assert(value !== null && value !== undefined, `${what} is missing`);
  return value;
}
