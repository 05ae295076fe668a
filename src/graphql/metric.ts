/** Figures over time: the same ones as series and as rows. */
import type { Builder } from './builder.ts';
import { metricArgs } from './metric-query.ts';
import { addMetricRow } from './metric-row.ts';
import { addMetricSeries } from './metric-series.ts';
import { addMetricTypes } from './metric-types.ts';
import type { Refs } from './refs.ts';

export function addMetric(builder: Builder, refs: Refs): void {
  const types = addMetricTypes(builder, refs);
  const args = metricArgs(builder, types);
  addMetricSeries(builder, types, args);
  addMetricRow(builder, refs, types, args);
}
