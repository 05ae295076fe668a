/** What POST /prompt checks before it accepts a graph; types and texts as observed on ComfyUI 0.3.64. */
import type { InputSpec, NodeClass, NodeWorld } from './node-class.ts';
import { PythonError, trace } from './python-error.ts';
import { isObject, type Json, type JsonObject, toFloat, toRepr, toStr } from './python-json.ts';

export interface Reason {
  readonly type: string;
  readonly message: string;
  readonly details: string;
  readonly extra_info: Record<string, unknown>;
}
interface NodeErrors {
  errors: readonly Reason[];
  dependent_outputs: string[];
  class_type: unknown;
}
export type Validation =
  | { readonly ok: true; readonly outputs: string[]; readonly nodeErrors: Record<string, NodeErrors> }
  | { readonly ok: false; readonly error: Reason; readonly nodeErrors: Record<string, NodeErrors> };

interface Verdict {
  readonly valid: boolean;
  readonly reasons: readonly Reason[];
}
interface Checking {
  readonly prompt: JsonObject;
  readonly classes: ReadonlyMap<string, NodeClass>;
  readonly world: NodeWorld;
  readonly verdicts: Map<string, Verdict>;
  readonly open: Set<string>;
}

const refuse = (type: string, message: string, details: string): Validation => ({
  ok: false,
  error: { type, message, details, extra_info: {} },
  nodeErrors: {},
});

/** Checks a prompt and coerces its inputs in place. Throws PythonError where ComfyUI answers 500. */
export async function validatePrompt(
  prompt: Json,
  targets: Json | undefined,
  classes: ReadonlyMap<string, NodeClass>,
  world: NodeWorld,
): Promise<Validation> {
  if (!isObject(prompt)) throw new PythonError('TypeError', `'${typeof prompt}' object is not a prompt`);
  const outputs: string[] = [];
  for (const [id, node] of Object.entries(prompt)) {
    if (node === null || typeof node === 'number' || typeof node === 'boolean') {
      throw new PythonError('TypeError', `argument of type '${typeof node}' is not iterable`);
    }
    if (!isObject(node) || !('class_type' in node)) {
      return refuse(
        'invalid_prompt',
        'Cannot execute because a node is missing the class_type property.',
        `Node ID '#${id}'`,
      );
    }
    const name = toStr(node.class_type ?? null);
    const nodeClass = classes.get(name);
    if (!nodeClass)
      return refuse(
        'invalid_prompt',
        `Cannot execute because node ${name} does not exist.`,
        `Node ID '#${id}'`,
      );
    const wanted =
      targets === undefined || targets === null || (Array.isArray(targets) && targets.includes(id));
    if (nodeClass.isOutput && wanted) outputs.push(id);
  }
  if (outputs.length === 0) return refuse('prompt_no_outputs', 'Prompt has no outputs', '');
  return validateOutputs(outputs, { prompt, classes, world, verdicts: new Map(), open: new Set() });
}

async function validateOutputs(outputs: readonly string[], checking: Checking): Promise<Validation> {
  const good: string[] = [];
  const complaints: string[] = [];
  const nodeErrors: Record<string, NodeErrors> = {};
  for (const output of outputs) {
    const verdict = await validateNode(output, checking).catch((error: unknown): Verdict => {
      const failed = { valid: false, reasons: [raisedOutside(error)] };
      checking.verdicts.set(output, failed);
      return failed;
    });
    if (verdict.valid) {
      good.push(output);
      continue;
    }
    complaints.push(...verdict.reasons.map((reason) => `${reason.message}: ${reason.details}`));
    for (const [id, { valid, reasons }] of checking.verdicts) {
      if (valid || reasons.length === 0) continue;
      const node = checking.prompt[id];
      nodeErrors[id] ??= {
        errors: reasons,
        dependent_outputs: [],
        class_type: isObject(node) ? node.class_type : null,
      };
      nodeErrors[id].dependent_outputs.push(output);
    }
  }
  if (good.length > 0) return { ok: true, outputs: good, nodeErrors };
  const error: Reason = {
    type: 'prompt_outputs_failed_validation',
    message: 'Prompt outputs failed validation',
    details: complaints.join('\n'),
    extra_info: {},
  };
  return { ok: false, error, nodeErrors };
}

function raisedOutside(error: unknown): Reason {
  const raised = PythonError.from(error);
  return {
    type: 'exception_during_validation',
    message: 'Exception when validating node',
    details: raised.message,
    extra_info: {
      exception_type: raised.exceptionType,
      traceback: [trace('execution.py', 1010, 'validate_prompt'), ...raised.traceback],
    },
  };
}

async function validateNode(id: string, checking: Checking): Promise<Verdict> {
  const known = checking.verdicts.get(id);
  if (known) return known;
  // A cycle ends in a recursion error in ComfyUI, whose reasons are overwritten on the way out: invalid, no reasons.
  if (checking.open.has(id)) return { valid: false, reasons: [] };
  checking.open.add(id);
  try {
    const verdict = await validateInputs(checking.prompt[id] as JsonObject, checking);
    checking.verdicts.set(id, verdict);
    return verdict;
  } finally {
    checking.open.delete(id);
  }
}

async function validateInputs(node: JsonObject, checking: Checking): Promise<Verdict> {
  const inputs = node.inputs;
  if (inputs === undefined)
    throw new PythonError('KeyError', "'inputs'", [trace('execution.py', 730, 'validate_inputs')]);
  if (!isObject(inputs)) throw new PythonError('TypeError', 'inputs is not a dict');
  const nodeClass = checking.classes.get(String(node.class_type));
  if (!nodeClass) throw new PythonError('KeyError', toRepr(node.class_type ?? null));
  const reasons: Reason[] = [];
  let valid = true;
  for (const [name, spec] of Object.entries({ ...nodeClass.required, ...nodeClass.optional })) {
    const value = inputs[name];
    if (value === undefined) {
      if (name in nodeClass.required)
        reasons.push(
          reason('required_input_missing', 'Required input is missing', name, { input_name: name }),
        );
    } else if (Array.isArray(value)) {
      const linked = await validateLink(name, value, spec, checking);
      if (linked !== true && linked !== false) reasons.push(linked);
      if (linked === false) valid = false;
    } else {
      const complaint = await validateValue(name, inputs, spec, nodeClass, checking.world);
      if (complaint) reasons.push(complaint);
    }
  }
  const custom = await customCheck(nodeClass, inputs, checking.world);
  if (custom) reasons.push(custom);
  return { valid: valid && reasons.length === 0, reasons };
}

const reason = (type: string, message: string, details: string, extra: Record<string, unknown>): Reason => ({
  type,
  message,
  details,
  extra_info: extra,
});

/** True: fine; false: the node behind it is invalid; a reason: the link itself is wrong. */
async function validateLink(
  name: string,
  link: Json[],
  spec: InputSpec,
  checking: Checking,
): Promise<boolean | Reason> {
  const config = await inputConfig(spec, checking.world);
  if (link.length !== 2) {
    const message = 'Bad linked input, must be a length-2 list of [node_id, slot_index]';
    return reason('bad_linked_input', message, name, {
      input_name: name,
      input_config: config,
      received_value: link,
    });
  }
  const [id = null, slot = null] = link;
  const source = typeof id === 'string' ? checking.prompt[id] : undefined;
  if (!isObject(source))
    throw new PythonError('KeyError', toRepr(id), [trace('execution.py', 788, 'validate_inputs')]);
  const received = sourceType(source, slot, checking.classes);
  const wanted = typeof spec[0] === 'string' ? spec[0] : 'COMBO';
  if (!typesFit(received, wanted)) {
    const details = `${name}, received_type(${received}) mismatch input_type(${wanted})`;
    const extra = { input_name: name, input_config: config, received_type: received, linked_node: link };
    return reason('return_type_mismatch', 'Return type mismatch between linked nodes', details, extra);
  }
  try {
    return (await validateNode(id as string, checking)).valid;
  } catch (error) {
    const raised = PythonError.from(error);
    const inner = reason(
      'exception_during_inner_validation',
      'Exception when validating inner node',
      raised.message,
      {
        input_name: name,
        input_config: config,
        exception_message: raised.message,
        exception_type: raised.exceptionType,
        traceback: [trace('execution.py', 804, 'validate_inputs'), ...raised.traceback],
        linked_node: link,
      },
    );
    checking.verdicts.set(id as string, { valid: false, reasons: [inner] });
    return false;
  }
}

function sourceType(source: JsonObject, slot: Json, classes: ReadonlyMap<string, NodeClass>): string {
  const types = classes.get(String(source.class_type))?.outputs ?? [];
  if (typeof slot !== 'number' || !Number.isInteger(slot)) {
    throw new PythonError('TypeError', 'tuple indices must be integers or slices', [
      trace('execution.py', 790, 'validate_inputs'),
    ]);
  }
  const type = types.at(slot);
  if (type === undefined)
    throw new PythonError('IndexError', 'tuple index out of range', [
      trace('execution.py', 790, 'validate_inputs'),
    ]);
  return type;
}

/** Types are comma-separated alternatives; `*` takes anything. */
function typesFit(received: string, wanted: string): boolean {
  if (received === wanted || received === '*' || wanted === '*') return true;
  const accepted = new Set(wanted.split(','));
  return received.split(',').every((type) => accepted.has(type));
}

async function choicesOf(spec: InputSpec, world: NodeWorld): Promise<readonly string[] | undefined> {
  if (typeof spec[0] === 'string') return undefined;
  return typeof spec[0] === 'function' ? await spec[0](world) : spec[0];
}

async function inputConfig(spec: InputSpec, world: NodeWorld): Promise<unknown> {
  return [(await choicesOf(spec, world)) ?? spec[0], spec[1] ?? {}];
}

async function validateValue(
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

async function customCheck(
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
