/**
 * The W3C's text for a place in a trace (https://www.w3.org/TR/trace-context/#traceparent-header): what clients send along,
 * and what a job's row keeps.
 */
import { isSpanContextValid, type Span, type SpanContext, TraceFlags } from '@opentelemetry/api';

/** A later version may append fields after a dash; version ff is none. */
const FORMAT = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Null for anything that is not one. */
export function parseTraceparent(text: string | null | undefined): SpanContext | null {
  const [, version, traceId, spanId, flags, more] = FORMAT.exec(text ?? '') ?? [];
  if (!traceId || !spanId || !flags || (version === '00' && more !== undefined)) return null;
  const traceFlags = Number.parseInt(flags, 16) & TraceFlags.SAMPLED;
  const context = { traceId, spanId, traceFlags, isRemote: true };
  return isSpanContextValid(context) ? context : null;
}

/** Null for no span, and for one that is not kept. */
export function traceparentOf(span: Span | null | undefined): string | null {
  if (!span?.isRecording()) return null;
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}
