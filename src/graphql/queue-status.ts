/** The queue as a whole, read from rows. */
import { listInstances } from '../store/instances.ts';
import { queueCounts } from '../store/jobs.ts';
import { meanRunMs } from '../store/run-times.ts';
import { fleetCapacity } from './fleet-capacity.ts';
import type { PlaceBoard } from './place-board.ts';
import type { Services } from './services.ts';
import { estimateDrainMs } from './wait-estimate.ts';

export interface QueueStatus {
  readonly pending: number;
  readonly processing: number;
  readonly capacity: number;
  readonly oldestPendingMs: number | null;
  readonly estimatedDrainMs: number | null;
  /** A job submitted now would be taken. */
  readonly accepting: boolean;
}

/** The drain as the leader forecasts it, where its picture of the queue is at hand and not out of date; else from rows. */
export async function readQueueStatus(
  { store, config, clock }: Services,
  places: PlaceBoard,
): Promise<QueueStatus> {
  const counts = await queueCounts(store.db);
  const capacity = fleetCapacity(await listInstances(store.db), config.maxConcurrentJobs);
  const picture = await places.picture();
  const { pending, processing, oldestPendingAt } = counts;
  return {
    pending,
    processing,
    capacity,
    oldestPendingMs: oldestPendingAt === null ? null : Math.max(0, clock.now() - oldestPendingAt),
    // a forecast that has passed is none, nor is one of an empty queue
    estimatedDrainMs:
      (pending + processing > 0 && picture?.drainMs(clock.now())) ||
      estimateDrainMs(pending, { meanRunMs: await meanRunMs(store.db), capacity, running: processing }),
    accepting: pending < config.maxQueuedJobs,
  };
}
