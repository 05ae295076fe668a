/** Reading durable events: what a subscriber missed. */
import type { JobEventRow } from '../domain/job-event.ts';
import type { Db } from './open.ts';
import { eventFromRow } from './rows.ts';
import { statement } from './statement.ts';
import { ofTenant, type Scope, tenantOf } from './viewer-scope.ts';

interface After {
  readonly jobId: string;
  readonly seq: number;
  readonly limit: number;
  readonly tenant: string | undefined;
}

const selectAfter = statement((q, p: After) =>
  q
    .selectFrom('job_events')
    .selectAll()
    .where('job_id', '=', p.jobId)
    .where('seq', '>', p.seq)
    .where(ofTenant(p.tenant, 'job_events'))
    .orderBy('seq')
    .limit(p.limit),
);

/** The job's events with a greater seq, in order, at most `limit`. */
export async function eventsAfter(
  db: Db,
  scope: Scope,
  jobId: string,
  seq: number,
  limit: number,
): Promise<JobEventRow[]> {
  const { rows } = await selectAfter(db, { jobId, seq, limit, tenant: tenantOf(scope) });
  return rows.map(eventFromRow);
}
