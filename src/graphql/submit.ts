/** submitJob and the typed mutations: one way in, told apart only by where the inputs stand. */

import type { Job } from '../domain/job.ts';
import { hasEnded } from '../domain/job-states.ts';
import type { Issue } from '../jobs/sources.ts';
import type { SubmitRequest } from '../jobs/submission.ts';
import { MAX_WAIT_MS } from '../jobs/waiter.ts';
import type { JsonObject } from '../lib/json.ts';
import { storeTrouble } from '../store/retryable.ts';
import { ATTRIBUTES } from '../tracing/spans.ts';
import { traceparentOf } from '../tracing/traceparent.ts';
import type { Builder } from './builder.ts';
import type { GraphqlContext } from './context.ts';
import type { FailureRefs } from './failure-types.ts';
import { type SubmitFailure, submitFailure, validationFailure } from './failures.ts';
import { graphFromWire, inputsFromWire } from './image-references.ts';
import type { JobView } from './job-view.ts';
import type { Refs } from './refs.ts';

export interface SubmitSuccess {
  readonly __typename: 'SubmitJobSuccess';
  readonly job: JobView;
}
export type SubmitOutcome = SubmitSuccess | SubmitFailure;

/** The options every submission takes, beside the workflow's own inputs. */
export interface SubmitOptionsInput {
  readonly priority?: number | null | undefined;
  readonly labels?: JsonObject | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
  readonly timeoutMs?: number | null | undefined;
  readonly deadlineMs?: number | null | undefined;
  readonly maxAttempts?: number | null | undefined;
  readonly waitMs?: number | null | undefined;
}

/** Null is how the parts below know an absent value. */
export function optionsOf(input: SubmitOptionsInput) {
  const { priority, labels, idempotencyKey, timeoutMs, deadlineMs, maxAttempts } = input;
  return {
    priority: priority ?? null,
    labels: labels ?? null,
    idempotencyKey: idempotencyKey ?? null,
    timeoutMs: timeoutMs ?? null,
    deadlineMs: deadlineMs ?? null,
    maxAttempts: maxAttempts ?? null,
  };
}

/** The fields of those options, for the input object of each mutation that submits. */
export function submitOptionFields(builder: Builder) {
  return (t: Parameters<NonNullable<Parameters<typeof builder.inputType>[1]['fields']>>[0]) => ({
    priority: t.int({ defaultValue: 5, description: '1 to 10; 10 is served first.' }),
    labels: t.field({
      type: 'JSONObject',
      description: 'Your own labels, texts by name; {} when absent. JobFilter finds jobs by them.',
    }),
    idempotencyKey: t.string({
      description:
        'Same key and same body: the first job again; same key and another body: IdempotencyConflictError. Kept for 24 h.',
    }),
    timeoutMs: t.float({
      description: 'Longest run of one attempt, in ms; default JOB_TIMEOUT_MS of the gateway.',
    }),
    deadlineMs: t.float({
      description:
        'Longest time since submit, waiting included, in ms; passed while PENDING the job has FAILED with DEADLINE_EXCEEDED.',
    }),
    maxAttempts: t.int({ description: 'Tries that may count before the job has FAILED; default 3.' }),
    waitMs: t.float({
      description: `Answer once the job has ended, or after so many ms (${MAX_WAIT_MS} at most) with the job as it then stands; at once when absent.`,
    }),
  });
}

export function addSubmit(builder: Builder, refs: Refs, failures: FailureRefs) {
  const SubmitJobInput = builder.inputType('SubmitJobInput', {
    description: 'What to run: a workflow or a graph, exactly one of the two.',
    fields: (t) => ({
      workflow: t.string({ description: 'A registered workflow...' }),
      graph: t.field({
        type: 'JSONObject',
        description:
          '...or a graph in ComfyUI\'s API format. Where a node takes a file name, it may hold one field of ImageSource under "$file": {"image": {"$file": {"uploadId": "..."}}}.',
      }),
      inputs: t.field({
        type: 'JSONObject',
        description:
          "Values for the workflow's inputs, {} when absent; a picture is given by the fields of ImageSource except upload.",
      }),
      ...submitOptionFields(builder)(t),
    }),
  });
  const Success = builder.objectRef<SubmitSuccess>('SubmitJobSuccess').implement({
    description: 'The job is kept and will run.',
    fields: (t) => ({
      job: t.field({ type: refs.Job, description: 'The job.', resolve: ({ job }) => job }),
    }),
  });
  const SubmitJobResult = builder.unionType('SubmitJobResult', {
    description: 'What became of a submission.',
    types: [
      Success,
      failures.ValidationError,
      failures.WorkflowInvalidError,
      failures.NotRunnableError,
      failures.IdempotencyConflictError,
      failures.QueueFullError,
      failures.FileTooLargeError,
      failures.UnsupportedMediaError,
      failures.ImageTooLargeError,
    ],
    resolveType: ({ __typename }) => __typename,
  });
  builder.mutationField('submitJob', (t) =>
    t.field({
      type: SubmitJobResult,
      description: 'Submits a job. Once it answers with a job, that job is never lost.',
      args: { input: t.arg({ type: SubmitJobInput, required: true, description: 'What to run.' }) },
      resolve: (_root, { input }, context) => {
        const { workflow, graph, inputs } = input;
        const request = {
          ...optionsOf(input),
          workflow: workflow ?? null,
          graph: graph ? graphFromWire(graph) : null,
          inputs: inputsFromWire(inputs ?? {}),
        };
        return submit(context, request, input.waitMs);
      },
    }),
  );
  return SubmitJobResult;
}

export type SubmitResultRef = ReturnType<typeof addSubmit>;

/** Submits, and waits for the end when asked to. */
export async function submit(
  context: GraphqlContext,
  request: SubmitRequest,
  waitMs: number | null | undefined,
): Promise<SubmitOutcome> {
  const { services, viewer, log, span } = context;
  const issue = waitIssue(waitMs);
  if (issue) return validationFailure([issue]);
  const result = await services.submitter.submit(viewer, { ...request, trace: traceparentOf(span) });
  if (result.kind !== 'submitted') return submitFailure(result);
  span?.setAttribute(ATTRIBUTES.jobId, result.job.id);
  log.info({ job: result.job.id, workflow: result.job.workflow }, 'job submitted');
  return { __typename: 'SubmitJobSuccess', job: await settled(context, result.job, waitMs ?? 0) };
}

function waitIssue(waitMs: number | null | undefined): Issue | null {
  if (waitMs === null || waitMs === undefined || waitMs >= 0) return null;
  return { path: ['waitMs'], message: 'must not be negative' };
}

/**
 * Not bound to the client's connection: whoever leaves cancels nothing, and the answer is made all the same. The job is
 * kept already: a store that is away must not make of it an error, which clients answer by submitting once more.
 */
async function settled(context: GraphqlContext, job: Job, waitMs: number): Promise<Job> {
  if (waitMs === 0 || hasEnded(job.status)) return job;
  const { services, viewer, shutdown, log } = context;
  try {
    return (await services.waiter.untilEnded(viewer, job.id, waitMs, shutdown)) ?? job;
  } catch (error) {
    if (storeTrouble(error) === null) throw error;
    log.warn(
      { err: error, job: job.id },
      'how the job stands could not be read: answered as it was submitted',
    );
    return job;
  }
}
