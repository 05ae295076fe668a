/** One typed mutation per registered workflow: its own inputs as fields, beside the options of submitJob. */
import type { SentValue } from '../jobs/sources.ts';
import { isObject } from '../lib/json.ts';
import type { WorkflowDefinition, WorkflowInputDefinition } from '../workflows/definition.ts';
import type { Builder } from './builder.ts';
import type { ValidationFailure } from './failures.ts';
import { type ImageSourceInput, imageSourceOf } from './image-references.ts';
import {
  optionsOf,
  type SubmitOptionsInput,
  type SubmitResultRef,
  submit,
  submitOptionFields,
} from './submit.ts';

type Values = Readonly<Record<string, unknown>>;

export function addTypedMutations(
  builder: Builder,
  workflows: readonly WorkflowDefinition[],
  SubmitJobResult: SubmitResultRef,
): void {
  const ImageSource = addImageSource(builder);
  for (const workflow of workflows) addTypedMutation(builder, workflow, ImageSource, SubmitJobResult);
}

function addImageSource(builder: Builder) {
  return builder.inputType('ImageSource', {
    isOneOf: true,
    description: 'Where a picture comes from: exactly one of these.',
    fields: (t) => ({
      upload: t.field({ type: 'Upload', description: 'A file of this request.' }),
      uploadId: t.id({ description: 'An earlier upload.' }),
      outputId: t.id({ description: 'An output of an earlier job.' }),
      url: t.string({ description: 'A public http or https address.' }),
      dataUri: t.string({ description: 'The picture itself as a data URI.' }),
    }),
  });
}

type ImageSourceRef = ReturnType<typeof addImageSource>;

function addTypedMutation(
  builder: Builder,
  workflow: WorkflowDefinition,
  ImageSource: ImageSourceRef,
  SubmitJobResult: SubmitResultRef,
): void {
  const typeName = `${workflow.name.charAt(0).toUpperCase()}${workflow.name.slice(1)}Input`;
  const Input = builder.inputType(typeName, {
    description: `Inputs of the workflow ${workflow.name}, and the options of a job.`,
    fields: (t) => ({
      ...Object.fromEntries(
        workflow.inputs.map((input) => [
          input.name,
          input.type === 'image'
            ? t.field({ type: ImageSource, required: input.required, description: input.description })
            : t.field({
                type: SCALARS[input.type],
                required: input.required,
                description: describe(input),
                ...(isConstant(input) && { defaultValue: input.default as never }),
              }),
        ]),
      ),
      ...submitOptionFields(builder)(t),
    }),
  });
  builder.mutationField(workflow.name, (t) =>
    t.field({
      type: SubmitJobResult,
      description: workflow.description,
      args: { input: t.arg({ type: Input, required: true, description: 'Inputs and options.' }) },
      resolve: async (_root, { input }, context) => {
        // The input object is built from the workflow at run time: the compiler does not know its fields.
        const options = input as SubmitOptionsInput;
        const request = {
          ...optionsOf(options),
          workflow: workflow.name,
          inputs: sentInputs(workflow, input),
        };
        const outcome = await submit(context, request, options.waitMs);
        return outcome.__typename === 'ValidationError' ? fromTypedInput(outcome) : outcome;
      },
    }),
  );
}

const SCALARS = {
  string: 'String',
  int: 'Int',
  float: 'Float',
  boolean: 'Boolean',
  enum: 'String',
  // Seeds go beyond 32 bits; a Float carries every whole number up to 2^53.
  seed: 'Float',
  model: 'String',
} as const;

/** The default of a model only holds when the fleet has none to choose from. */
function isConstant({ type, default: value }: WorkflowInputDefinition): boolean {
  return type !== 'model' && ['string', 'number', 'boolean'].includes(typeof value);
}

function describe(input: WorkflowInputDefinition): string {
  const { description, min, max, minLength, maxLength, options } = input;
  const bounds = [
    min !== undefined && max !== undefined && `${min} to ${max}.`,
    minLength !== undefined && maxLength !== undefined && `${minLength} to ${maxLength} characters.`,
    options && `One of ${options.join(', ')}.`,
  ];
  return [description, ...bounds.filter(Boolean)].join(' ');
}

function sentInputs(workflow: WorkflowDefinition, input: Values): Record<string, SentValue> {
  const sent = workflow.inputs.flatMap(({ name, type }): [string, SentValue][] => {
    const value = input[name];
    if (value === null || value === undefined) return [];
    const image = type === 'image' && isObject(value);
    return [[name, image ? imageSourceOf(value as ImageSourceInput) : (value as SentValue)]];
  });
  return Object.fromEntries(sent);
}

/** Issues point into `inputs` of submitJob; here the inputs stand in the input object itself. */
function fromTypedInput(failure: ValidationFailure): ValidationFailure {
  const issues = failure.issues.map((issue) =>
    issue.path[0] === 'inputs' ? { ...issue, path: issue.path.slice(1) } : issue,
  );
  return { ...failure, issues };
}
