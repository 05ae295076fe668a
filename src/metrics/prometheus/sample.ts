/** One line of what Prometheus is told. */
export interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Where it is not that of the metric, as the parts of a histogram have it. */
  readonly metricName?: string;
}

/** Of a metric without labels. */
export function alone(value: number): Sample[] {
  return [{ labels: {}, value }];
}
