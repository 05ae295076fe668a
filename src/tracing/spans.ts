/**
 * Every span and attribute of our traces, in one place. They name kinds, ids and codes; never an input, a prompt, an address
 * or a message. One trace holds one request and what became of the job it submitted:
 *
 *   graphql mutation submitJob          the api
 *   ├─ job.queued                       until it was given to an instance, canceled, or its deadline passed; one per attempt
 *   ├─ attempt                          the leader, until the row says how it ended and its instance is free
 *   │  ├─ comfyui.upload_inputs         where the graph takes files
 *   │  ├─ comfyui.post_prompt
 *   │  ├─ comfyui.run                   from the moment it was heard to execute until its end was seen
 *   │  ├─ outputs.collect
 *   │  └─ comfyui.release               where the instance had to be freed of it: canceled, too slow
 *   ├─ job.queued                       again, before the next attempt
 *   └─ attempt ...
 */
import {
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  type SpanOptions,
  type Tracer,
  trace,
} from '@opentelemetry/api';

export const SPANS = {
  operation: (type: string, field: string) => `graphql ${type} ${field}`,
  queued: 'job.queued',
  attempt: 'attempt',
  uploadInputs: 'comfyui.upload_inputs',
  postPrompt: 'comfyui.post_prompt',
  run: 'comfyui.run',
  collect: 'outputs.collect',
  release: 'comfyui.release',
} as const;

export const ATTRIBUTES = {
  /** query, mutation, subscription. */
  operationType: 'graphql.operation.type',
  /** As the client named it, cut. */
  operationName: 'graphql.operation.name',
  /** extensions.code of what was sent as errors, or why an attempt or a job failed. */
  errorType: 'error.type',
  /** As in X-Request-Id and in the log. */
  requestId: 'comfyfleet.request.id',
  /** As in the log; the API's ids hold it in base64. */
  jobId: 'comfyfleet.job.id',
  workflow: 'comfyfleet.workflow',
  /** How the wait in the queue ended: dispatched, canceled, expired. */
  queueOutcome: 'comfyfleet.queue.outcome',
  instanceId: 'comfyfleet.instance.id',
  instanceName: 'comfyfleet.instance.name',
  /** ComfyUI knows it as prompt_id. */
  attemptId: 'comfyfleet.attempt.id',
  /** From 1. */
  attemptNumber: 'comfyfleet.attempt.number',
  /** An earlier process began it; it was taken over while it ran. */
  adopted: 'comfyfleet.attempt.adopted',
  /** succeeded, failed, lost, canceled; let-go: this process stopped, or leads no more, and another goes on with it. */
  outcome: 'comfyfleet.attempt.outcome',
  /** What follows a failed or lost attempt: retry, or final. */
  decision: 'comfyfleet.attempt.decision',
  /** What cut it short: cancel, timeout, removed, stop. */
  interruption: 'comfyfleet.attempt.interruption',
} as const;

/** Begins a span under its parent, which may be of another process; without one a trace begins. */
export function beginSpan(
  tracer: Tracer,
  name: string,
  { parent, ...options }: SpanOptions & { readonly parent: SpanContext | null },
): Span {
  return tracer.startSpan(name, options, parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT);
}
