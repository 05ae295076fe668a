/** FleetMetrics as resolvers hand it on. */
import type { FleetFigures } from '../metrics/fleet-figures.ts';

export interface FleetMetricsView {
  /** Names the range in ids: the same for the same arguments. */
  readonly rangeText: string;
  readonly figures: FleetFigures;
}
