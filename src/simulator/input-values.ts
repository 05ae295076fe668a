/** Literal input values at validation: coerced as Python coerces, then checked against range, choices and the class. */
import type { InputSpec, NodeClass, NodeWorld } from './node-class.ts';
import { PythonError } from './python-error.ts';
import { isObject, type Json, type JsonObject, toFloat, toRepr, toStr } from './python-json.ts';

export interface Reason {
  readonly type: string;
  readonly message: string;
  readonly details: string;
  readonly extra_info: Record<string, unknown>;
}
export const reason = (
  type: string,
  message: string,
  details: string,
  extra: Record<string, unknown>,
): Reason => ({
  type,
  message,
  details,
  extra_info: extra,
});

async function choicesOf(spec: InputSpec, world: NodeWorld): Promise<readonly string[] | undefined> {
  // the newer way to write a list
  if (spec[0] === 'COMBO') return Array.isArray(spec[1]?.options) ? (spec[1].options as string[]) : undefined;
  if (typeof spec[0] === 'string') return undefined;
  return typeof spec[0] === 'function' ? await spec[0](world) : spec[0];
}

export async function inputConfig(spec: InputSpec, world: NodeWorld): Promise<unknown> {
  return [(await choicesOf(spec, world)) ?? spec[0], spec[1] ?? {}];
}

export async function validateValue(
  name: string,
  inputs: JsonObject,
  spec: InputSpec,
  nodeClass: NodeClass,
  world: NodeWorld,
): Promise<Reason | undefined> {
  const wrapped = inputs[name] ?? null;
  const given = isObject(wrapped) && '__value__' in wrapped ? (wrapped.__value__ ?? null) : wrapped;
  inputs[name] = given;
  let value = given;
  try {
    value = typeof spec[0] === 'string' ? coerce(given, spec[0]) : given;
    inputs[name] = value;
  } catch (error) {
    const raised = PythonError.from(error).message;
    const extra = {
      input_name: name,
      input_config: await inputConfig(spec, world),
      received_value: given,
      exception_message: raised,
    };
    const message = `Failed to convert an input value to a ${String(spec[0])} value`;
    return reason('invalid_input_type', message, `${name}, ${toStr(given)}, ${raised}`, extra);
  }
  if (nodeClass.check?.input === name) return undefined;
  return (await outOfRange(name, value, spec, world)) ?? (await notInList(name, value, spec, world));
}

function coerce(value: Json, type: string): Json {
  if (type === 'STRING') return toStr(value);
  if (type === 'BOOLEAN')
    return (
      value !== null &&
      value !== false &&
      value !== 0 &&
      value !== '' &&
      !(isObject(value) && Object.keys(value).length === 0)
    );
  if (type === 'FLOAT') {
    const float = toFloat(value);
    if (float === undefined) throw new PythonError(...notNumber(value, 'float'));
    return float;
  }
  if (type !== 'INT') return value;
  if (typeof value === 'string' && !/^\s*[+-]?\d+(_\d+)*\s*$/.test(value))
    throw new PythonError(...notNumber(value, 'int'));
  const float = toFloat(value);
  if (float === undefined) throw new PythonError(...notNumber(value, 'int'));
  if (!Number.isFinite(float))
    throw new PythonError('OverflowError', 'cannot convert float infinity to integer');
  return Math.trunc(float);
}

function notNumber(value: Json, type: 'int' | 'float'): [string, string] {
  if (typeof value === 'string') {
    const text =
      type === 'int' ? 'invalid literal for int() with base 10' : 'could not convert string to float';
    return ['ValueError', `${text}: ${toRepr(value)}`];
  }
  const kind = value === null ? 'NoneType' : 'dict';
  if (type === 'int')
    return [
      'TypeError',
      `int() argument must be a string, a bytes-like object or a real number, not '${kind}'`,
    ];
  return ['TypeError', `float() argument must be a string or a real number, not '${kind}'`];
}

async function outOfRange(
  name: string,
  value: Json,
  spec: InputSpec,
  world: NodeWorld,
): Promise<Reason | undefined> {
  const { min, max } = spec[1] ?? {};
  if (typeof value !== 'number') return undefined;
  const low = typeof min === 'number' && value < min;
  if (!low && !(typeof max === 'number' && value > max)) return undefined;
  const extra = { input_name: name, input_config: await inputConfig(spec, world), received_value: value };
  return low
    ? reason('value_smaller_than_min', `Value ${value} smaller than min of ${String(min)}`, name, extra)
    : reason('value_bigger_than_max', `Value ${value} bigger than max of ${String(max)}`, name, extra);
}

async function notInList(
  name: string,
  value: Json,
  spec: InputSpec,
  world: NodeWorld,
): Promise<Reason | undefined> {
  const choices = await choicesOf(spec, world);
  if (!choices || choices.includes(value as string)) return undefined;
  const long = choices.length > 20;
  const list = long ? `(list of length ${choices.length})` : toRepr([...choices]);
  const config = long ? null : await inputConfig(spec, world);
  const extra = { input_name: name, input_config: config, received_value: value };
  return reason('value_not_in_list', 'Value not in list', `${name}: '${toStr(value)}' not in ${list}`, extra);
}

export async function customCheck(
  nodeClass: NodeClass,
  inputs: JsonObject,
  world: NodeWorld,
): Promise<Reason | undefined> {
  const value = nodeClass.check ? inputs[nodeClass.check.input] : undefined;
  if (!nodeClass.check || value === undefined || Array.isArray(value)) return undefined;
  const complaint = await nodeClass.check.run(value, world);
  if (complaint === true) return undefined;
  const { input } = nodeClass.check;
  return reason('custom_validation_failed', 'Custom validation failed for node', `${input} - ${complaint}`, {
    input_name: input,
  });
}
