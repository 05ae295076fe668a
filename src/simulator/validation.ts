/** What POST /prompt checks before it accepts a graph; types and texts as observed on ComfyUI 0.3.64. */

import { customCheck, inputConfig, type Reason, reason, validateValue } from './input-values.ts';
import type { InputSpec, NodeClass, NodeWorld } from './node-class.ts';
import { PythonError, trace } from './python-error.ts';
import { isObject, type Json, type JsonObject, toRepr, toStr } from './python-json.ts';

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
