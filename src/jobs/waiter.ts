/**
 * The synchronous mode: answers once a job has ended, or after the time with the job as it then stands. It listens
 * first and reads the row second, so that no end is missed; it polls only while the store is away.
 */

import type { Job } from '../domain/job.ts';
import { hasEnded } from '../domain/job-states.ts';
import type { Viewer } from '../domain/viewer.ts';
import type { BusSignal, BusSubscription, EventBus } from '../events/bus.ts';
import { jobTopic } from '../events/topics.ts';
import { type Clock, pause } from '../lib/clock.ts';
import { findJob } from '../store/jobs.ts';
import type { Store } from '../store/open.ts';
import { storeTrouble } from '../store/retryable.ts';

export interface Waiter {
  /**
   * At most 60,000 ms; the signal (the client left, or the gateway stops) ends the wait early and harms nothing. Null when
   * there is no such job, or it was deleted while waiting. Rejects when the store is still away at the end.
   */
  untilEnded(viewer: Viewer, jobId: string, waitMs: number, signal?: AbortSignal): Promise<Job | null>;
}

export const MAX_WAIT_MS = 60_000;
/** Between two tries to read while the store is away. */
const STORE_AWAY_MS = 1000;

export function createWaiter(parts: {
  readonly store: Pick<Store, 'db'>;
  readonly bus: EventBus;
  readonly clock: Clock;
}): Waiter {
  const { store, bus, clock } = parts;
  return {
    async untilEnded(viewer, jobId, waitMs, signal) {
      const over = new AbortController();
      const end = (): void => over.abort();
      if (signal?.aborted) end();
      signal?.addEventListener('abort', end, { once: true });
      const timer = clock.after(Math.min(Math.max(0, waitMs), MAX_WAIT_MS), end);
      const read = () => findJob(store.db, viewer, jobId);
      try {
        const subscription = await bus.subscribe([jobTopic(jobId)], { signal: over.signal });
        return await readUntilEnded(subscription, read, () => readPatiently(read, clock, over.signal));
      } finally {
        timer.cancel();
        signal?.removeEventListener('abort', end);
        // closes the subscription
        end();
      }
    },
  };
}

type Read = () => Promise<Job | null>;

async function readUntilEnded(
  subscription: BusSubscription,
  readOnce: Read,
  read: Read,
): Promise<Job | null> {
  let job = await read();
  while (job && !hasEnded(job.status)) {
    const next = await subscription.next();
    // The time is over: what the row says now, since an end may just have been written.
    if (next.done) return readOnce();
    if (mayEnd(next.value)) job = await read();
  }
  return job;
}

/** Again and again while the store is away, until the time is over: then once more at most. */
async function readPatiently(read: Read, clock: Clock, over: AbortSignal): Promise<Job | null> {
  for (;;) {
    try {
      return await read();
    } catch (error) {
      if (storeTrouble(error) === null || over.aborted) throw error;
    }
    if (!(await pause(clock, STORE_AWAY_MS, over))) return read();
  }
}

function mayEnd(signal: BusSignal): boolean {
  if (signal.kind === 'gap') return true;
  if (signal.kind !== 'job') return false;
  const { change } = signal;
  if (change.type === 'deleted') return true;
  return change.type === 'durable' && (change.event.type === 'finished' || change.event.type === 'canceled');
}
