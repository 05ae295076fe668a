/** How long jobs ran lately: what estimates are made from. */
import { sql } from 'kysely';
import type { AttemptOutcome, JobStatus } from '../domain/job.ts';
import type { Db } from './open.ts';
import { statement } from './statement.ts';

const selectMean = statement((q, p: { sample: number }) =>
  q
    .selectFrom((eb) =>
      eb
        .selectFrom('jobs')
        .select('run_ms')
        .where('finished_at', 'is not', null)
        .where('status', '=', sql.lit<JobStatus>('COMPLETED'))
        .where('run_ms', 'is not', null)
        .orderBy('finished_at', 'desc')
        .limit(p.sample)
        .as('latest'),
    )
    .select((eb) => eb.fn.avg<number | null>('run_ms').as('mean')),
);

/** Mean run time, in ms, of the jobs that completed last (of every tenant, since they share the fleet); null without any. */
export async function meanRunMs(db: Db, sample = 50): Promise<number | null> {
  const [row] = (await selectMean(db, { sample })).rows;
  return row?.mean === null || row?.mean === undefined ? null : Number(row.mean);
}

/** A run that succeeded. */
export interface RecentRun {
  readonly workflow: string;
  readonly needsKey: string;
  readonly instanceId: string;
  readonly runMs: number;
}

/** The newest runs that succeeded, of every tenant, in the order in which they began. */
export async function recentRuns(db: Db, most: number): Promise<RecentRun[]> {
  const rows = await db
    .selectFrom('attempts')
    .innerJoin('jobs', 'jobs.id', 'attempts.job_id')
    .select([
      'jobs.workflow',
      'jobs.needs_key as needsKey',
      'attempts.instance_id as instanceId',
      'jobs.run_ms as runMs',
    ])
    .where('attempts.outcome', '=', sql.lit<AttemptOutcome>('SUCCEEDED'))
    .where('jobs.run_ms', 'is not', null)
    // ids sort by age
    .orderBy('attempts.id', 'desc')
    .limit(most)
    .execute();
  return rows.reverse().map((row) => ({ ...row, runMs: Number(row.runMs) }));
}
