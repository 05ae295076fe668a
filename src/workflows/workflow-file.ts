/**
 * One file of workflows/: JSON with name, description, inputs (each with the places of the graph it is written to), the
 * graph in ComfyUI's API format and the ids of its output nodes. Reading answers a definition or every problem at once.
 */
import { z } from 'zod';
import { checkGraph } from '../domain/graph-check.ts';
import type { Json, JsonObject } from '../lib/json.ts';
import { checkValue } from './check-value.ts';
import {
  type InputTarget,
  WORKFLOW_INPUT_TYPES,
  type WorkflowDefinition,
  type WorkflowInputDefinition,
} from './definition.ts';

export type WorkflowFile =
  | { readonly ok: true; readonly workflow: WorkflowDefinition }
  /** One sentence each, beginning with the place in the file. */
  | { readonly ok: false; readonly problems: readonly string[] };

/** Fields of every submission: a workflow's own input of the same name could not be told apart in its typed mutation. */
const SUBMIT_OPTIONS = [
  'priority',
  'labels',
  'idempotencyKey',
  'timeoutMs',
  'deadlineMs',
  'maxAttempts',
  'waitMs',
];
/** What jobs of a graph submitted as is are called. */
export const RAW_WORKFLOW = 'raw';

const camelCase = z
  .string()
  .regex(/^[a-z][a-zA-Z0-9]{0,63}$/, 'must be camelCase: a small letter, then letters and digits');
const whole = z.number().int().min(0);

const targetSchema = z.strictObject({
  node: z.string().min(1),
  input: z.string().min(1),
  as: z.enum(['name', 'base64']).optional(),
});

const inputSchema = z.strictObject({
  name: camelCase,
  type: z.enum(WORKFLOW_INPUT_TYPES),
  required: z.boolean(),
  default: z.json().optional(),
  description: z.string().max(2_000),
  min: z.number().optional(),
  max: z.number().optional(),
  minLength: whole.optional(),
  maxLength: whole.optional(),
  options: z.array(z.string().min(1)).min(1).optional(),
  aliases: z.record(z.string(), z.string()).optional(),
  modelFolder: z.string().min(1).optional(),
  bind: z.array(targetSchema).min(1),
});

const fileSchema = z.strictObject({
  name: camelCase,
  description: z.string().max(2_000),
  inputs: z.array(inputSchema),
  graph: z.record(z.string(), z.json()),
  outputs: z.array(z.string()).min(1),
});

/** Reads the text of one file. */
export function readWorkflowFile(text: string): WorkflowFile {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { ok: false, problems: ['is not JSON'] };
  }
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success)
    return {
      ok: false,
      problems: parsed.error.issues.map((issue) => `${issue.path.join('.') || 'file'}: ${issue.message}`),
    };
  const { name, description, outputs } = parsed.data;
  const checked = checkGraph(parsed.data.graph);
  if (!checked.ok) return { ok: false, problems: checked.problems.map((problem) => graphProblem(problem)) };
  // zod types an absent field as `undefined`, our types as absent; the value is the same JSON.
  const inputs = parsed.data.inputs as unknown as WorkflowInputDefinition[];
  const workflow: WorkflowDefinition = { name, description, inputs, graph: checked.graph, outputs };
  const problems = workflowProblems(workflow);
  return problems.length === 0 ? { ok: true, workflow } : { ok: false, problems };
}

function graphProblem(problem: { message: string; nodeId?: string }): string {
  return `graph${problem.nodeId === undefined ? '' : `.${problem.nodeId}`}: ${problem.message}`;
}

function workflowProblems(workflow: WorkflowDefinition): string[] {
  const problems: string[] = [];
  if (workflow.name === RAW_WORKFLOW) problems.push(`name: '${RAW_WORKFLOW}' means a graph submitted as is`);
  for (const output of workflow.outputs)
    if (!Object.hasOwn(workflow.graph, output))
      problems.push(`outputs: node '${output}' is not in the graph`);
  const names = new Set<string>();
  const targets = new Set<string>();
  workflow.inputs.forEach((input, index) => {
    const at = `inputs.${index} (${input.name})`;
    if (names.has(input.name)) problems.push(`${at}: the name is taken by an earlier input`);
    names.add(input.name);
    problems.push(...inputProblems(input).map((problem) => `${at}: ${problem}`));
    for (const target of input.bind) {
      const problem = targetProblem(workflow, input, target, targets);
      if (problem) problems.push(`${at}: bind to ${target.node}.${target.input}: ${problem}`);
    }
  });
  return problems;
}

function targetProblem(
  workflow: WorkflowDefinition,
  input: WorkflowInputDefinition,
  target: InputTarget,
  targets: Set<string>,
): string | null {
  const key = JSON.stringify([target.node, target.input]);
  if (targets.has(key)) return 'another input is bound to it';
  targets.add(key);
  const node = workflow.graph[target.node];
  if (!node) return 'the graph has no such node';
  if (!Object.hasOwn(node.inputs, target.input)) return 'the node has no such input';
  if (target.as !== undefined && input.type !== 'image') return "'as' is for images only";
  return null;
}

function inputProblems(input: WorkflowInputDefinition): string[] {
  const problems: string[] = [];
  const { type, options = [], aliases = {} } = input;
  const when = (wrong: boolean, message: string): unknown => wrong && problems.push(message);
  when(SUBMIT_OPTIONS.includes(input.name), 'the name belongs to an option of every submission');
  when((input.min ?? -Infinity) > (input.max ?? Infinity), 'min is above max');
  when((input.minLength ?? 0) > (input.maxLength ?? Infinity), 'minLength is above maxLength');
  when(type === 'enum' && options.length === 0, 'an enum needs options');
  when(type !== 'enum' && (options.length > 0 || input.aliases !== undefined), 'only an enum has options');
  when(type === 'model' && input.modelFolder === undefined, 'a model needs a modelFolder');
  when(type === 'image' && !input.required, 'an image must be required');
  when(type === 'image' && input.default !== undefined, 'an image has no default');
  when(input.required && input.default !== undefined, 'a required input has no default');
  for (const [alias, option] of Object.entries(aliases))
    when(!options.includes(option), `alias '${alias}' stands for no option`);
  const fallback: Json | JsonObject | undefined = input.default;
  if (fallback !== undefined && type !== 'image') {
    const checked = checkValue(input, fallback);
    if (!checked.ok) problems.push(`the default ${checked.message}`);
  }
  return problems;
}
