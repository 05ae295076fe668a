/**
 * A span for every operation that is executed, over whichever transport; of a subscription, until its stream is there. Jobs
 * that it submits belong to its trace. What it asked for is not told: its kind, its first field, the name its client gave it.
 */
import { type Attributes, type Span, SpanKind, SpanStatusCode, type Tracer } from '@opentelemetry/api';
import { type ExecutionArgs, type ExecutionResult, getOperationAST, Kind } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { Clock } from '../lib/clock.ts';
import { ATTRIBUTES, beginSpan, SPANS } from '../tracing/spans.ts';
import { parseTraceparent } from '../tracing/traceparent.ts';
import type { GraphqlContext } from './context.ts';
import type { TransportContext } from './engine.ts';

const NAME_LENGTH = 100;

type Results = ExecutionResult | AsyncIterable<ExecutionResult>;
type Args = Pick<ExecutionArgs, 'document' | 'operationName' | 'contextValue'>;

export function useOperationSpans(
  tracer: Tracer,
  clock: Clock,
): Plugin<object, TransportContext, GraphqlContext> {
  return {
    onExecute({ args, extendContext }) {
      const span = begin(tracer, clock, args);
      if (span.isRecording()) extendContext(madeKnown(span, args.contextValue));
      return { onExecuteDone: ({ result }: { readonly result: Results }) => end(span, clock, result) };
    },
    onSubscribe({ args, extendContext }) {
      const span = begin(tracer, clock, args);
      if (span.isRecording()) extendContext(madeKnown(span, args.contextValue));
      return { onSubscribeResult: ({ result }: { readonly result: Results }) => end(span, clock, result) };
    },
  };
}

function begin(tracer: Tracer, clock: Clock, args: Args): Span {
  const { info } = args.contextValue as TransportContext;
  const { name, attributes } = described(args);
  return beginSpan(tracer, name, {
    parent: parseTraceparent(info.traceparent),
    kind: SpanKind.SERVER,
    startTime: new Date(clock.now()),
    attributes: { ...attributes, [ATTRIBUTES.requestId]: info.requestId },
  });
}

/** To resolvers, and to the log. */
function madeKnown(span: Span, context: unknown): Pick<GraphqlContext, 'span' | 'log'> {
  const { info, log } = context as TransportContext & GraphqlContext;
  const { traceId } = span.spanContext();
  info.traceId = traceId;
  return { span, log: log.child({ traceId }) };
}

function end(span: Span, clock: Clock, result: Results): void {
  const errors = (Symbol.asyncIterator in result ? undefined : result.errors) ?? [];
  if (errors.length > 0) {
    const [code = 'INTERNAL_SERVER_ERROR'] = errors.map(({ extensions }) => extensions?.code);
    span.setAttribute(ATTRIBUTES.errorType, String(code));
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end(new Date(clock.now()));
}

/** The field is one of the schema's, as the operation is valid; of several, the first stands for all. */
function described({ document, operationName }: Args): { name: string; attributes: Attributes } {
  const operation = getOperationAST(document, operationName);
  const first = operation?.selectionSet.selections[0];
  const type = operation?.operation ?? 'operation';
  const field = first?.kind === Kind.FIELD ? first.name.value : 'fragment';
  const clientName = operation?.name?.value.slice(0, NAME_LENGTH);
  return {
    name: SPANS.operation(type, field),
    attributes: {
      [ATTRIBUTES.operationType]: type,
      ...(clientName !== undefined && { [ATTRIBUTES.operationName]: clientName }),
    },
  };
}
