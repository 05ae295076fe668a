/**
 * The synchronous mode: answers once a job has ended, or after the time with the job as it then stands. It listens
 * first and reads the row second, so that no end is missed; it never polls.
 */

import type { Job } from '../domain/job.ts';
import { hasEnded } from '../domain/job-states.ts';
import type { Viewer } from '../domain/viewer.ts';
import type { BusSignal, BusSubscription, EventBus } from '../events/bus.ts';
import { jobTopic } from '../events/topics.ts';
import type { Clock } from '../lib/clock.ts';
import { findJob } from '../store/jobs.ts';
import type { Store } from '../store/open.ts';

export interface Waiter {
  /**
   * At most 60,000 ms; the signal (the client left, or the gateway stops) ends the wait early and harms nothing. Null when
   * there is no such job, or it was deleted while waiting.
   */
  untilEnded(viewer: Viewer, jobId: string, waitMs: number, signal?: AbortSignal): Promise<Job | null>;
}

export const MAX_WAIT_MS = 60_000;

export function createWaiter(parts: {
  readonly store: Store;
  readonly bus: EventBus;
  readonly clock: Clock;
}): Waiter {
  const { store, bus, clock } = parts;
  return {
    async untilEnded(viewer, jobId, waitMs, signal) {
      const subscription = await bus.subscribe([jobTopic(jobId)], signal ? { signal } : {});
      const timer = clock.after(Math.min(Math.max(0, waitMs), MAX_WAIT_MS), () => subscription.close());
      try {
        return await readUntilEnded(subscription, () => findJob(store.db, viewer, jobId));
      } finally {
        timer.cancel();
        subscription.close();
      }
    },
  };
}

async function readUntilEnded(
  subscription: BusSubscription,
  read: () => Promise<Job | null>,
): Promise<Job | null> {
  let job = await read();
  while (job && !hasEnded(job.status)) {
    const next = await subscription.next();
    // The time is over: what the row says now, since an end may just have been written.
    if (next.done) return read();
    if (mayEnd(next.value)) job = await read();
  }
  return job;
}

function mayEnd(signal: BusSignal): boolean {
  if (signal.kind === 'gap') return true;
  if (signal.kind !== 'job') return false;
  const { change } = signal;
  if (change.type === 'deleted') return true;
  return change.type === 'durable' && (change.event.type === 'finished' || change.event.type === 'canceled');
}
