/** Folding live news into the last snapshot of a job. Pure. */
import type { Job } from '../../domain/job.ts';
import type { Latest } from '../../events/bus.ts';
import type { JobChange } from '../../events/messages.ts';
import { type JobView, NOTHING_LIVE } from '../job-view.ts';

export type Snapshot = JobView & { readonly live: Latest };

/** A job read anew: what was live of the same attempt stays, a new attempt starts from nothing. */
export function refreshed(before: JobView | null, job: Job): Snapshot {
  const same = before !== null && before.attemptCount === job.attemptCount && job.status !== 'PENDING';
  return { ...job, live: (same ? before.live : null) ?? NOTHING_LIVE };
}

/** The snapshot with the news in it; null when it changes nothing that is shown. */
export function withLive(view: Snapshot, change: JobChange): Snapshot | null {
  if (view.status !== 'PROCESSING') return null;
  const { live } = view;
  if (change.type === 'preview') return { ...view, live: { ...live, preview: change.preview } };
  if (change.type !== 'progress') return null;
  // News of an earlier attempt may arrive late; what a subscriber sees never falls.
  if (live.progress && change.progress.fraction < live.progress.fraction) return null;
  return { ...view, live: { ...live, progress: change.progress } };
}
