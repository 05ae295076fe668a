/** Gives a waiting job a place: the attempt's row, with the id the prompt will have, is written before anything is sent. */
import type { Member } from '../fleet/member.ts';
import type { Recorder } from '../jobs/recorder.ts';
import type { Clock } from '../lib/clock.ts';
import { findGraph, type PendingJob } from '../store/jobs.ts';
import type { Store } from '../store/open.ts';
import type { RunSubject } from './runs/active-run.ts';

export interface PlaceParts {
  readonly store: Store;
  readonly recorder: Pick<Recorder, 'assign'>;
  readonly clock: Clock;
}

export interface Placement {
  readonly job: PendingJob;
  readonly member: Member;
  readonly slot: number;
  /** Fresh. */
  readonly attemptId: string;
}

/** Null when the job waits no longer, or the place is taken. When it throws, the row may be written all the same. */
export async function placeJob(
  parts: PlaceParts,
  { job, member, slot, attemptId }: Placement,
  term: number,
): Promise<RunSubject | null> {
  const { store, recorder, clock } = parts;
  const assigned = await recorder.assign({
    jobId: job.id,
    attemptId,
    instanceId: member.id,
    instanceName: member.state().instance.name,
    slot,
    term,
    deadlineAt: clock.now() + job.timeoutMs,
  });
  if (!assigned) return null;
  const graph = (await findGraph(store.db, job.id)) ?? {};
  return { ...assigned, member, term, graph, adopted: false, knownOutputs: [] };
}
