/** Samples of the fleet in Prometheus' text format: by prom-client, whose own metrics cannot be given values of elsewhere. */
import { type Metric, Registry } from 'prom-client';
import type { FleetSamples } from './fleet-samples.ts';
import { FLEET_METRICS, type FleetMetric, PREFIX } from './names.ts';

/** Metrics without a sample are absent. */
export function fleetText(samples: FleetSamples): Promise<string> {
  const registry = new Registry();
  for (const name of Object.keys(FLEET_METRICS) as FleetMetric[]) {
    if (samples[name].length > 0) registry.registerMetric(metricOf(name, samples));
  }
  return registry.metrics();
}

/** All that a registry asks of a metric. */
function metricOf(metric: FleetMetric, samples: FleetSamples): Metric {
  const { type, help } = FLEET_METRICS[metric];
  const name = `${PREFIX}${metric}`;
  const get = async () => ({ name, type, help, values: samples[metric] });
  return { name, get } as unknown as Metric;
}
