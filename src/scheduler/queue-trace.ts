/** A span for each time that a job waited in the queue, made when the wait is over: nothing of it is kept while it lasts. */
import { SpanStatusCode, type Tracer } from '@opentelemetry/api';
import type { PendingJob } from '../store/jobs.ts';
import { ATTRIBUTES, beginSpan, SPANS } from '../tracing/spans.ts';
import { parseTraceparent } from '../tracing/traceparent.ts';

export type Waited = Pick<PendingJob, 'id' | 'workflow' | 'trace' | 'pendingSince'>;

/** `until` in epoch ms. Does nothing for a job that is not traced. */
export function traceWait(
  tracer: Tracer | null | undefined,
  job: Waited,
  until: number,
  outcome: 'dispatched' | 'canceled' | 'expired',
): void {
  const parent = tracer ? parseTraceparent(job.trace) : null;
  if (!tracer || !parent) return;
  const span = beginSpan(tracer, SPANS.queued, {
    parent,
    startTime: new Date(job.pendingSince),
    attributes: {
      [ATTRIBUTES.jobId]: job.id,
      [ATTRIBUTES.workflow]: job.workflow,
      [ATTRIBUTES.queueOutcome]: outcome,
      ...(outcome === 'expired' && { [ATTRIBUTES.errorType]: 'DEADLINE_EXCEEDED' }),
    },
  });
  if (outcome === 'expired') span.setStatus({ code: SpanStatusCode.ERROR });
  span.end(new Date(until));
}
