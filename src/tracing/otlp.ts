/**
 * Spans go in batches to an OpenTelemetry collector. It may be slow, or away: so many spans wait, more are dropped, and
 * the log says so once. Everything is given to the SDK explicitly: what it would read from the environment by itself does not
 * count, but for OTEL_EXPORTER_OTLP_TRACES_HEADERS, which its exporter adds.
 */
import { randomUUID } from 'node:crypto';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  type ReadableSpan,
  type SpanExporter,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import { type Clock, pause } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { Outflow } from './outflow.ts';
import type { Tracing, TracingConfig } from './tracing.ts';

const EXPORT_TIMEOUT_MS = 5000;
const FLUSH_MS = 2000;
/** Some 600 jobs. */
const MOST_WAITING = 4096;
const BATCHES = { maxQueueSize: MOST_WAITING, maxExportBatchSize: 512, scheduledDelayMillis: 2000 };
const SPAN_LIMITS = {
  attributeValueLengthLimit: 256,
  attributeCountLimit: 64,
  eventCountLimit: 32,
  linkCountLimit: 8,
  attributePerEventCountLimit: 16,
  attributePerLinkCountLimit: 16,
};

/** An enum of a package that is not ours to import. */
type Compression = NonNullable<
  NonNullable<ConstructorParameters<typeof OTLPTraceExporter>[0]>['compression']
>;

/** `headers` are name=value pairs, percent-encoded. */
export function createExporter(endpoint: string, headers: readonly string[]): SpanExporter {
  const pairs = headers.map((pair) => {
    const [name = '', ...value] = pair.split('=');
    return [decoded(name), decoded(value.join('='))];
  });
  return new OTLPTraceExporter({
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    headers: Object.fromEntries(pairs),
    timeoutMillis: EXPORT_TIMEOUT_MS,
    concurrencyLimit: 4,
    compression: 'none' as Compression,
    httpAgentOptions: { keepAlive: true },
  });
}

/** What somebody forgot to encode is meant as it stands. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text.trim());
  } catch {
    return text.trim();
  }
}

export interface TracingParts {
  readonly config: Pick<TracingConfig, 'otelServiceName' | 'otelTracesSamplerArg'>;
  readonly version: string;
  readonly exporter: SpanExporter;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function createTracing({ config, version, exporter, clock, logger }: TracingParts): Tracing {
  const provider = new BasicTracerProvider({
    resource: defaultResource().merge(
      resourceFromAttributes({
        'service.name': config.otelServiceName,
        'service.version': version,
        'service.instance.id': randomUUID(),
      }),
    ),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(config.otelTracesSamplerArg) }),
    spanLimits: SPAN_LIMITS,
    spanProcessors: [new BoundedProcessor(new Outflow(exporter, MOST_WAITING, logger))],
  });
  return {
    tracer: provider.getTracer('comfyfleet', version),
    start: async () => undefined,
    stop: async () => {
      const flushed = new AbortController();
      // what could not be sent is lost: the outflow has said so
      const shutdown = provider.shutdown().catch(() => undefined);
      void shutdown.then(() => flushed.abort());
      await pause(clock, FLUSH_MS, flushed.signal);
    },
  };
}

class BoundedProcessor extends BatchSpanProcessor {
  readonly #outflow: Outflow;

  constructor(outflow: Outflow) {
    super(outflow, { ...BATCHES, exportTimeoutMillis: EXPORT_TIMEOUT_MS + 1000 });
    this.#outflow = outflow;
  }

  override onEnd(span: ReadableSpan): void {
    if (this.#outflow.admit()) super.onEnd(span);
  }
}
