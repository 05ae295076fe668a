/** Where the spans of this process go. */
import type { Tracer } from '@opentelemetry/api';
import type { Config } from '../config.ts';
import type { Service } from '../lib/service.ts';

export interface Tracing extends Service {
  /** Null when nothing is traced. */
  readonly tracer: Tracer | null;
}

export type TracingConfig = Pick<
  Config,
  'otelExporterOtlpEndpoint' | 'otelExporterOtlpHeaders' | 'otelServiceName' | 'otelTracesSamplerArg'
>;
