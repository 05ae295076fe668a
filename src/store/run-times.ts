/** How long jobs ran lately: what estimates of waiting are made from. */
import { sql } from 'kysely';
import type { JobStatus } from '../domain/job.ts';
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
