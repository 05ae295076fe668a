/** Deletes ended jobs with all their rows: one, or a number of them at the price of hardly more than one. */
import { ENDED_JOB_STATUSES } from '../domain/job-states.ts';
import { type BlobName, noteDropped, withBlobs } from '../store/blobs.ts';
import { unlocked } from '../store/engine-sql.ts';
import type { Db } from '../store/open.ts';
import { type Scope, visibleTo } from '../store/viewer-scope.ts';

export interface RemovedJobs {
  readonly jobs: readonly { readonly id: string; readonly tenant: string; readonly seq: number }[];
  /** What their rows named; some may still be named by others. */
  readonly blobs: readonly BlobName[];
}

/**
 * Those that have ended and are visible. Where another transaction has one in hand, this waits for it if it is the only one
 * asked for, and else leaves it out: so none waits for the other in a circle. An idempotency key stays for its 24 hours: the
 * same request again must not run a second time unnoticed.
 */
export async function removeJobs(tx: Db, scope: Scope, jobIds: readonly string[]): Promise<RemovedJobs> {
  const asked = tx.selectFrom('jobs').select('id').where('id', 'in', jobIds);
  const jobs = await tx
    .deleteFrom('jobs')
    .where('id', 'in', jobIds.length > 1 ? asked.modifyEnd(unlocked(tx)) : jobIds)
    .where('status', 'in', ENDED_JOB_STATUSES)
    .where(visibleTo(scope, 'jobs'))
    .returning(['id', 'tenant', 'seq'])
    .execute();
  if (jobs.length === 0) return { jobs, blobs: [] };
  const ids = jobs.map((job) => job.id);
  const outputs = await tx
    .deleteFrom('outputs')
    .where('job_id', 'in', ids)
    .returning(['tenant', 'sha256'])
    .execute();
  const files = await tx
    .deleteFrom('job_files')
    .where('job_id', 'in', ids)
    .returning(['tenant', 'sha256'])
    .execute();
  await tx.deleteFrom('job_graphs').where('job_id', 'in', ids).execute();
  await tx.deleteFrom('job_labels').where('job_id', 'in', ids).execute();
  await tx.deleteFrom('job_events').where('job_id', 'in', ids).execute();
  // An open attempt of a canceled job still holds its slot; closeCanceled deletes it.
  await tx.deleteFrom('attempts').where('job_id', 'in', ids).where('outcome', 'is not', null).execute();
  const blobs = withBlobs([...outputs, ...files]);
  await noteDropped(tx, blobs);
  return { jobs, blobs };
}
