/** Reading attempts, and taking over those that an earlier leader left open. */
import { sql } from 'kysely';
import type { Attempt, JobStatus } from '../domain/job.ts';
import { lowestIdAt } from '../lib/ids.ts';
import { grouped } from './grouped.ts';
import type { Db } from './open.ts';
import { attemptFromRow } from './rows.ts';
import type { AttemptsTable } from './schema.ts';
import { statement } from './statement.ts';
import { ofTenant, type Scope, tenantOf } from './viewer-scope.ts';

const selectOfJobs = statement((q, p: { jobIds: readonly string[]; tenant: string | undefined }) =>
  q
    .selectFrom('attempts')
    .selectAll()
    .where('job_id', 'in', p.jobIds)
    .where(ofTenant(p.tenant, 'attempts'))
    .orderBy('job_id')
    .orderBy('number'),
);

/** By job id, in order of their numbers; jobs without any are absent. */
export async function attemptsOfJobs(
  db: Db,
  scope: Scope,
  jobIds: readonly string[],
): Promise<Map<string, Attempt[]>> {
  if (jobIds.length === 0) return new Map();
  const { rows } = await selectOfJobs(db, { jobIds, tenant: tenantOf(scope) });
  return grouped(rows.map(attemptFromRow), (attempt) => attempt.jobId);
}

export async function findAttempt(db: Db, id: string): Promise<Attempt | null> {
  const row = await db.selectFrom('attempts').selectAll().where('id', '=', id).executeTakeFirst();
  return row ? attemptFromRow(row) : null;
}

/** An attempt that holds its slot, with the status of its job: CANCELED means free the slot, null that the job was deleted since. */
export interface OpenAttempt extends Attempt {
  readonly jobStatus: JobStatus | null;
}

/** Every tenant's, oldest first. */
export async function openAttempts(db: Db): Promise<OpenAttempt[]> {
  const rows = await db
    .selectFrom('attempts')
    .leftJoin('jobs', 'jobs.id', 'attempts.job_id')
    .selectAll('attempts')
    .select('jobs.status as job_status')
    .where('attempts.outcome', 'is', null)
    .orderBy('attempts.started_at')
    .orderBy('attempts.id')
    .execute();
  return rows.map((row) => ({ ...attemptFromRow(row as AttemptsTable), jobStatus: row.job_status }));
}

/**
 * Writes the new leader's term on every open attempt, so that whatever an older leader still tries to write is refused.
 * The first thing a leader does.
 */
export async function claimOpenAttempts(db: Db, term: number): Promise<OpenAttempt[]> {
  await db
    .updateTable('attempts')
    .set({ term })
    .where('outcome', 'is', null)
    .where('term', '<', term)
    .execute();
  return (await openAttempts(db)).filter((attempt) => attempt.term === term);
}

/** Attempts that were started in one second of the past. */
export interface DispatchSlice {
  readonly ageMs: number;
  /** An attempt of the same job had failed before, and was charged. */
  readonly isRetry: boolean;
  readonly count: number;
}

/** The attempts started within `windowMs` before `now`, oldest first. */
export async function recentDispatches(db: Db, now: number, windowMs: number): Promise<DispatchSlice[]> {
  const since = now - windowMs;
  const slices = await sql<{ at: number; retry: number; count: number }>`
    select min(started_at) as at, retry, count(*) as count from (
      select a.started_at, case when exists (
        select 1 from attempts b where b.job_id = a.job_id and b.number < a.number and b.charged = 1
      ) then 1 else 0 end as retry
      from attempts a where a.id >= ${lowestIdAt(since)} and a.started_at > ${since} and a.started_at <= ${now}
    ) as started
    group by started_at / 1000, retry order by at`.execute(db);
  return slices.rows.map(({ at, retry, count }) => ({
    ageMs: now - Number(at),
    isRetry: Number(retry) === 1,
    count: Number(count),
  }));
}
