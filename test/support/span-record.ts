/** Keeps the spans of the gateways of this process, over their restarts, as soon as they end. */
import type { HrTime } from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import type { Tracing } from '../../src/tracing/tracing.ts';
import { eventually } from './eventually.ts';

class LastingExporter extends InMemorySpanExporter {
  override shutdown(): Promise<void> {
    return Promise.resolve();
  }
}

export class SpanRecord {
  readonly #exporter = new LastingExporter();

  /** For one start of a gateway. */
  readonly open = (): Tracing => {
    const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(this.#exporter)] });
    return {
      tracer: provider.getTracer('test'),
      start: () => Promise.resolve(),
      stop: () => provider.shutdown(),
    };
  };

  all(): ReadableSpan[] {
    return this.#exporter.getFinishedSpans();
  }

  /** In the order in which they began. */
  ofTrace(traceId: string): ReadableSpan[] {
    return this.all()
      .filter((span) => span.spanContext().traceId === traceId)
      .sort((a, b) => startOf(a) - startOf(b) || endOf(a) - endOf(b));
  }

  /** Once there are so many of that name. */
  async named(traceId: string, name: string, count = 1): Promise<ReadableSpan[]> {
    const found = (): ReadableSpan[] => this.ofTrace(traceId).filter((span) => span.name === name);
    return eventually(() => found().length >= count && found(), { what: `${count} spans named ${name}` });
  }
}

export const startOf = (span: ReadableSpan): number => ms(span.startTime);
export const endOf = (span: ReadableSpan): number => ms(span.endTime);

function ms([seconds, nanoseconds]: HrTime): number {
  return seconds * 1000 + nanoseconds / 1e6;
}
