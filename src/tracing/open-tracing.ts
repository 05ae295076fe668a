/**
 * Without a collector in the configuration there is no tracer: nothing is measured or kept for traces then, and their
 * libraries are not loaded.
 */
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { Tracing, TracingConfig } from './tracing.ts';

const NO_TRACING: Tracing = { tracer: null, start: async () => undefined, stop: async () => undefined };

/** `stop` sends what is left, as far as the collector takes it within two seconds. */
export async function openTracing(
  config: TracingConfig,
  parts: { readonly version: string; readonly clock: Clock; readonly logger: Logger },
): Promise<Tracing> {
  const { otelExporterOtlpEndpoint: endpoint } = config;
  if (endpoint === undefined) return NO_TRACING;
  // a fifth of a second and 16 MB, for those who want it
  const { createTracing, createExporter } = await import('./otlp.ts');
  const exporter = createExporter(endpoint, config.otelExporterOtlpHeaders);
  return createTracing({ ...parts, config, exporter });
}
