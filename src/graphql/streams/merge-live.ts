/** Folding live news into the last snapshot of a job. Messages and kept news may be late; what is shown never falls. Pure. */
import type { Job, Preview, Progress } from '../../domain/job.ts';
import type { Latest } from '../../events/bus.ts';
import type { JobMessage } from '../../events/messages.ts';
import { type JobView, NOTHING_LIVE } from '../job-view.ts';

export type Snapshot = JobView & {
  readonly live: Latest;
  /** Number of the job's newest event when this attempt was first seen: live news from before it is of another one. */
  readonly attemptSeq: number;
};

/** A job read anew: what was live of the same attempt stays, a new attempt starts from nothing. */
export function refreshed(before: Snapshot | null, job: Job): Snapshot {
  const same = before !== null && before.attemptCount === job.attemptCount && job.status !== 'PENDING';
  return same
    ? { ...job, live: before.live, attemptSeq: before.attemptSeq }
    : { ...job, live: NOTHING_LIVE, attemptSeq: job.seq };
}

/** The snapshot with the news in it; null when it changes nothing that is shown. */
export function withLive(
  view: Snapshot,
  { seq, change }: Pick<JobMessage, 'seq' | 'change'>,
): Snapshot | null {
  if (view.status !== 'PROCESSING' || seq < view.attemptSeq) return null;
  switch (change.type) {
    case 'progress':
      return folded(view, change.progress, null);
    case 'preview':
      return folded(view, null, change.preview);
    default:
      return null;
  }
}

/** The snapshot with what the bus keeps of it, which may be older than what was heard. */
export function withLatest(view: Snapshot, latest: Latest): Snapshot {
  if (view.status !== 'PROCESSING') return view;
  return folded(view, latest.progress, latest.preview) ?? view;
}

/** The same row with the same live news. */
export function isSame(one: Snapshot, other: Snapshot): boolean {
  return one.seq === other.seq && one.updatedAt === other.updatedAt && one.live === other.live;
}

function folded(view: Snapshot, progress: Progress | null, preview: Preview | null): Snapshot | null {
  const { live } = view;
  const further = progress && !(live.progress && progress.fraction < live.progress.fraction);
  const newer = preview && !(live.preview && preview.revision <= live.preview.revision);
  if (!further && !newer) return null;
  return {
    ...view,
    live: { progress: further ? progress : live.progress, preview: newer ? preview : live.preview },
  };
}
