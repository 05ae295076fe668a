/** The jobs that failed, by when they did. */
import { sql } from 'kysely';
import type { Job, JobStatus } from '../domain/job.ts';
import type { Viewer } from '../domain/viewer.ts';
import type { Db } from './open.ts';
import { jobFromRow } from './rows.ts';
import { visibleTo } from './viewer-scope.ts';

/** At most `limit` that failed from `from` on and before `to` (epoch ms), newest failure first. */
export async function failedJobs(
  db: Db,
  viewer: Viewer,
  { from, to, limit }: { readonly from: number; readonly to: number; readonly limit: number },
): Promise<Job[]> {
  const rows = await db
    .selectFrom('jobs')
    .selectAll()
    // written into the text: SQLite uses a partial index only when it sees the status itself
    .where('status', '=', sql.lit<JobStatus>('FAILED'))
    .where('finished_at', '>=', from)
    .where('finished_at', '<', to)
    .where(visibleTo(viewer, 'jobs'))
    .orderBy('finished_at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit)
    .execute();
  return rows.map(jobFromRow);
}
