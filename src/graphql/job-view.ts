/** A job as the schema shows it: its row, and what is known live of it when the one who hands it out knows. Pure. */
import type { Job, Progress } from '../domain/job.ts';
import type { Latest } from '../events/bus.ts';
import type { Place } from './place-board.ts';

/** Without `live` the resolvers ask the bus, without `place` the rows. */
export type JobView = Job & { readonly live?: Latest; readonly place?: Place };

export const NOTHING_LIVE: Latest = { progress: null, preview: null, seq: 0 };

const blank = (fraction: number): Progress => ({
  fraction,
  node: null,
  nodeType: null,
  step: null,
  totalSteps: null,
  remainingMs: null,
});

/** Live progress while it runs; otherwise what the row says: 1 when completed, else what is known, else 0. */
export function progressOf(job: Job, live: Progress | null): Progress {
  if (job.status === 'COMPLETED') return blank(1);
  if (job.status === 'PENDING') return blank(0);
  if (job.status === 'PROCESSING') return live ?? blank(0);
  return blank(live?.fraction ?? 0);
}

/** Time spent waiting: until its first start, its end, or now; in ms. */
export function queueMs(job: Job, now: number): number {
  return Math.max(0, (job.startedAt ?? job.finishedAt ?? now) - job.createdAt);
}
