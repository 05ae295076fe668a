/** Reading durable events: what a subscriber missed. */
import type { JobEventRow } from '../domain/job-event.ts';
import type { Db } from './open.ts';
import { eventFromRow } from './rows.ts';
import { type Scope, visibleTo } from './viewer-scope.ts';

/** The job's events with a greater seq, in order, at most `limit`. */
export async function eventsAfter(
  db: Db,
  scope: Scope,
  jobId: string,
  seq: number,
  limit: number,
): Promise<JobEventRow[]> {
  const rows = await db
    .selectFrom('job_events')
    .selectAll()
    .where('job_id', '=', jobId)
    .where('seq', '>', seq)
    .where(visibleTo(scope, 'job_events'))
    .orderBy('seq')
    .limit(limit)
    .execute();
  return rows.map(eventFromRow);
}
