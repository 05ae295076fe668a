/** What Prometheus is told of the fleet, read from the store: figures of all time, and the rows as they stand. */
import { queueCounts } from '../../store/jobs.ts';
import { persistedAt } from '../../store/metric-progress.ts';
import type { Db } from '../../store/open.ts';
import { readInstanceSamples } from './instance-samples.ts';
import { readJobSamples } from './job-samples.ts';
import type { FleetMetric } from './names.ts';
import { alone, type Sample } from './sample.ts';

export type FleetSamples = Readonly<Record<FleetMetric, readonly Sample[]>>;

/** `now`: by the store's clock. */
export async function readFleetSamples(db: Db, now: number): Promise<FleetSamples> {
  const { pending, processing, oldestPendingAt } = await queueCounts(db);
  // read before what it is the age of: that is never older than told
  const persisted = await persistedAt(db);
  return {
    ...(await readJobSamples(db)),
    queue_depth: alone(pending),
    queue_oldest_seconds: alone(Math.max(0, now - (oldestPendingAt ?? now)) / 1000),
    jobs_running: alone(processing),
    ...(await readInstanceSamples(db, now)),
    metrics_persisted_timestamp_seconds: persisted === null ? [] : alone(persisted / 1000),
  };
}
