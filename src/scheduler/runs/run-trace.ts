/**
 * The spans of one attempt. They tell the store's time, as the rows do, so that those of several machines fit together. An
 * attempt that is taken over gets a span of its own, from then on: what an earlier process saw of it, that process told.
 */
import { type Attributes, type Span, SpanStatusCode, type Tracer } from '@opentelemetry/api';
import type { Attempt, Job } from '../../domain/job.ts';
import type { Clock } from '../../lib/clock.ts';
import { ATTRIBUTES, beginSpan, SPANS } from '../../tracing/spans.ts';
import { parseTraceparent } from '../../tracing/traceparent.ts';
import type { Outcome } from './outcome.ts';

export type StepName = Exclude<(typeof SPANS)[keyof typeof SPANS], (typeof SPANS)['operation']>;

/** What a step of an attempt may answer. */
type Result =
  | { readonly go: unknown }
  | { readonly end: Outcome }
  | { readonly kind: 'ended' }
  | Outcome
  | boolean;

export interface RunTrace {
  /** Null when it is not traced. */
  readonly traceId: string | null;
  /** Does the work, as a span within the attempt's. */
  step<T extends Result>(name: StepName, work: () => Promise<T>): Promise<T>;
  /** It executes: the span of the run begins here, not when it began to be followed. */
  begun(): void;
  concluded(outcome: Outcome): void;
  decided(decision: 'retry' | 'final'): void;
  /** Its job is not wanted any more. */
  canceled(): void;
  end(interruption: string | null): void;
}

const UNTRACED: RunTrace = {
  traceId: null,
  step: (_name, work) => work(),
  begun: () => undefined,
  concluded: () => undefined,
  decided: () => undefined,
  canceled: () => undefined,
  end: () => undefined,
};

interface Subject {
  readonly job: Pick<Job, 'id' | 'workflow' | 'trace'>;
  readonly attempt: Attempt;
  readonly adopted: boolean;
}

/** For a job whose request was not traced, nothing is. */
export function traceRun(tracer: Tracer | null | undefined, clock: Clock, subject: Subject): RunTrace {
  const parent = tracer ? parseTraceparent(subject.job.trace) : null;
  if (!tracer || !parent) return UNTRACED;
  const { job, attempt, adopted } = subject;
  const span = beginSpan(tracer, SPANS.attempt, {
    parent,
    startTime: new Date(adopted ? clock.now() : attempt.startedAt),
    attributes: {
      [ATTRIBUTES.jobId]: job.id,
      [ATTRIBUTES.workflow]: job.workflow,
      [ATTRIBUTES.attemptId]: attempt.id,
      [ATTRIBUTES.attemptNumber]: attempt.number,
      [ATTRIBUTES.instanceId]: attempt.instanceId,
      [ATTRIBUTES.instanceName]: attempt.instanceName,
      [ATTRIBUTES.adopted]: adopted,
    },
  });
  return new AttemptSpans(tracer, clock, span);
}

class AttemptSpans implements RunTrace {
  readonly traceId: string;
  readonly #tracer: Tracer;
  readonly #clock: Clock;
  readonly #span: Span;
  #begunAt: number | null = null;

  constructor(tracer: Tracer, clock: Clock, span: Span) {
    this.#tracer = tracer;
    this.#clock = clock;
    this.#span = span;
    this.traceId = span.spanContext().traceId;
    span.setAttribute(ATTRIBUTES.outcome, 'let-go');
  }

  async step<T extends Result>(name: StepName, work: () => Promise<T>): Promise<T> {
    const since = this.#clock.now();
    try {
      const result = await work();
      this.#record(name, since, endOf(result));
      return result;
    } catch (error) {
      this.#record(name, since, { [ATTRIBUTES.errorType]: 'INTERNAL' });
      throw error;
    }
  }

  begun(): void {
    this.#begunAt ??= this.#clock.now();
  }

  concluded(outcome: Outcome): void {
    this.#span.setAttributes({ [ATTRIBUTES.outcome]: outcome.kind, ...endOf(outcome) });
    if (ATTRIBUTES.errorType in endOf(outcome)) this.#span.setStatus({ code: SpanStatusCode.ERROR });
  }

  decided(decision: 'retry' | 'final'): void {
    this.#span.setAttribute(ATTRIBUTES.decision, decision);
  }

  canceled(): void {
    this.#span.setAttribute(ATTRIBUTES.outcome, 'canceled');
  }

  end(interruption: string | null): void {
    if (interruption) this.#span.setAttribute(ATTRIBUTES.interruption, interruption);
    this.#span.end(new Date(this.#clock.now()));
  }

  #record(name: StepName, since: number, attributes: Attributes): void {
    const at = name === SPANS.run ? (this.#begunAt ?? since) : since;
    const startTime = new Date(at);
    const span = beginSpan(this.#tracer, name, { parent: this.#span.spanContext(), startTime, attributes });
    if (ATTRIBUTES.errorType in attributes) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(new Date(this.#clock.now()));
  }
}

/** By its code only: a message may quote an input. */
function endOf(result: Result): Attributes {
  if (typeof result === 'boolean') return {};
  const end = 'end' in result ? result.end : result;
  return 'fault' in end ? { [ATTRIBUTES.errorType]: end.fault.code } : {};
}
