/** Folding live news into the last snapshot of a job. Messages and kept news may be late; what is shown never falls. Pure. */
import type { Job } from '../../domain/job.ts';
import type { Latest } from '../../events/bus.ts';
import type { JobMessage } from '../../events/messages.ts';
import { type JobView, NOTHING_LIVE } from '../job-view.ts';

export type Snapshot = JobView & {
  readonly live: Latest;
  /** Live news from before this event is of an earlier attempt; 0 while nobody knows. */
  readonly attemptSeq: number;
};

/**
 * A job read anew: what was live of the same attempt stays, a new attempt starts from nothing. `startedSeq`: of the event
 * with which the attempt began, where that was just heard.
 */
export function refreshed(before: Snapshot | null, job: Job, startedSeq = 0): Snapshot {
  if (before === null) return { ...job, live: NOTHING_LIVE, attemptSeq: startedSeq };
  const same = before.attemptCount === job.attemptCount && job.status !== 'PENDING';
  return same
    ? { ...job, live: before.live, attemptSeq: before.attemptSeq }
    : { ...job, live: NOTHING_LIVE, attemptSeq: job.seq };
}

/** The snapshot with the news in it; null when it changes nothing that is shown. */
export function withLive(
  view: Snapshot,
  { seq, change }: Pick<JobMessage, 'seq' | 'change'>,
): Snapshot | null {
  switch (change.type) {
    case 'progress':
      return folded(view, { progress: change.progress, preview: null, seq });
    case 'preview':
      return folded(view, { progress: null, preview: change.preview, seq });
    default:
      return null;
  }
}

/** The snapshot with what the bus keeps of it, which may be older than what was heard. */
export function withLatest(view: Snapshot, latest: Latest): Snapshot {
  return folded(view, latest) ?? view;
}

/** The same row with the same live news. */
export function isSame(one: Snapshot, other: Snapshot): boolean {
  return one.seq === other.seq && one.updatedAt === other.updatedAt && one.live === other.live;
}

function folded(view: Snapshot, { progress, preview, seq }: Latest): Snapshot | null {
  if (view.status !== 'PROCESSING' || seq < view.attemptSeq) return null;
  const { live } = view;
  const further = progress && !(live.progress && progress.fraction < live.progress.fraction);
  const newer = preview && !(live.preview && preview.revision <= live.preview.revision);
  if (!further && !newer) return null;
  return {
    ...view,
    live: { progress: further ? progress : live.progress, preview: newer ? preview : live.preview, seq },
  };
}
