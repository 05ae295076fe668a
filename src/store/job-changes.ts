/** Jobs that began to wait or ended since a moment: for those who listened, and missed it. */

import { sql } from 'kysely';
import type { Job, JobStatus } from '../domain/job.ts';
import type { JobFilter } from '../domain/job-filter.ts';
import { jobConditions } from './job-conditions.ts';
import type { Db } from './open.ts';
import { jobFromRow } from './rows.ts';
import type { Scope } from './viewer-scope.ts';

/** The last job read: where the next page begins. */
export interface ChangeCursor {
  /** Epoch ms. */
  readonly at: number;
  readonly id: string;
}

/** Jobs that wait and came to wait at `after.at` or later, oldest change first. What runs is another question. */
export async function waitingSince(
  db: Db,
  scope: Scope,
  filter: JobFilter,
  after: ChangeCursor,
  limit: number,
): Promise<Job[]> {
  const rows = await db
    .selectFrom('jobs')
    .selectAll()
    // written into the text: SQLite uses a partial index only when it sees the status itself
    .where('status', '=', sql.lit<JobStatus>('PENDING'))
    .where(sql<boolean>`(updated_at, id) > (${after.at}, ${after.id})`)
    .where(jobConditions(scope, filter))
    .orderBy('updated_at')
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map(jobFromRow);
}

/** Jobs that ended at `after.at` or later, oldest end first. */
export async function endedSince(
  db: Db,
  scope: Scope,
  filter: JobFilter,
  after: ChangeCursor,
  limit: number,
): Promise<Job[]> {
  const rows = await db
    .selectFrom('jobs')
    .selectAll()
    .where('finished_at', 'is not', null)
    .where('finished_at', '>=', after.at)
    .where(sql<boolean>`(finished_at, id) > (${after.at}, ${after.id})`)
    .where(jobConditions(scope, filter))
    .orderBy('finished_at')
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map(jobFromRow);
}
