/** Is this value one that the input takes? Pure; the answer is a sentence that says what is allowed. */
import { assertNever } from '../lib/assert.ts';
import { isObject, type Json } from '../lib/json.ts';
import { MAX_SEED, type WorkflowInputDefinition } from './definition.ts';

export type CheckedValue =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly message: string };

const MAX_MODEL_NAME = 260;
const MAX_OPTIONS_NAMED = 12;

/** The value as the graph takes it (an alias becomes its option). An image must be an object holding "$file". */
export function checkValue(definition: WorkflowInputDefinition, value: Json): CheckedValue {
  switch (definition.type) {
    case 'string':
      return checkText(value, definition.minLength ?? 0, definition.maxLength ?? Number.MAX_SAFE_INTEGER);
    case 'model':
      return checkModel(value);
    case 'int':
      return checkNumber(value, definition.min, definition.max, true);
    case 'seed':
      return checkNumber(value, definition.min ?? 0, definition.max ?? MAX_SEED, true);
    case 'float':
      return checkNumber(value, definition.min, definition.max, false);
    case 'boolean':
      return typeof value === 'boolean' ? accept(value) : refuse('must be true or false');
    case 'enum':
      return checkOption(definition, value);
    case 'image':
      return isObject(value) && Object.hasOwn(value, '$file') ? accept(value) : refuse('must be an image');
    default:
      return assertNever(definition.type, 'input type');
  }
}

function accept(value: Json): CheckedValue {
  return { ok: true, value };
}

function refuse(message: string): CheckedValue {
  return { ok: false, message };
}

function checkText(value: Json, min: number, max: number): CheckedValue {
  const unbounded = max === Number.MAX_SAFE_INTEGER;
  const allowed = unbounded
    ? min > 0
      ? `a text of at least ${min} characters`
      : 'a text'
    : min > 0
      ? `a text of ${min} to ${max} characters`
      : `a text of at most ${max} characters`;
  if (typeof value !== 'string') return refuse(`must be ${allowed}`);
  // A text of n UTF-16 units has at least n/2 characters: only texts near a bound are counted one by one.
  const length = value.length > 2 * max ? value.length : [...value].length;
  return length >= min && length <= max ? accept(value) : refuse(`must be ${allowed}`);
}

function checkModel(value: Json): CheckedValue {
  const fits = typeof value === 'string' && value.length > 0 && value.length <= MAX_MODEL_NAME;
  return fits && !/\p{Cc}/u.test(value) ? accept(value) : refuse('must be the name of a model file');
}

function checkNumber(
  value: Json,
  min: number | undefined,
  max: number | undefined,
  whole: boolean,
): CheckedValue {
  const noun = whole ? 'a whole number' : 'a number';
  const bounds =
    min !== undefined && max !== undefined
      ? ` from ${min} to ${max}`
      : min !== undefined
        ? ` of at least ${min}`
        : max !== undefined
          ? ` of at most ${max}`
          : '';
  const ok =
    typeof value === 'number' &&
    (whole ? Number.isSafeInteger(value) : Number.isFinite(value)) &&
    value >= (min ?? -Infinity) &&
    value <= (max ?? Infinity);
  return ok ? accept(value) : refuse(`must be ${noun}${bounds}`);
}

function checkOption(definition: WorkflowInputDefinition, value: Json): CheckedValue {
  const options = definition.options ?? [];
  if (typeof value === 'string') {
    if (options.includes(value)) return accept(value);
    const aliases = definition.aliases ?? {};
    const option = Object.hasOwn(aliases, value) ? aliases[value] : undefined;
    if (option !== undefined) return accept(option);
  }
  const more = options.length > MAX_OPTIONS_NAMED ? ` or another of its ${options.length} options` : '';
  return refuse(`must be one of ${options.slice(0, MAX_OPTIONS_NAMED).join(', ')}${more}`);
}
