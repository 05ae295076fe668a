/** What tells, in one row, whether another list of the waiting jobs is still right. Answered from their index alone. */
import { sql } from 'kysely';
import type { JobStatus } from '../domain/job.ts';
import type { Db } from './open.ts';
import { statement } from './statement.ts';

export interface WaitingSummary {
  readonly count: number;
  /** Of their `arrivalMark`s: differs, but for odd chances, when as many others wait. */
  readonly marks: number;
}

/** A prime, so that arrivals at round times do not look alike; small, so that no sum of them is too large for a number. */
const MARKS = 65_521;

/** `createdAt` in epoch ms. */
export function arrivalMark(createdAt: number): number {
  return createdAt % MARKS;
}

const selectSummary = statement((q, p: { until: number }) =>
  q
    .selectFrom('jobs')
    .select((eb) => [
      eb.fn.countAll<number>().as('count'),
      sql<number | null>`sum(created_at % ${sql.lit(MARKS)})`.as('marks'),
    ])
    .where('status', '=', sql.lit<JobStatus>('PENDING'))
    .where('created_at', '<=', p.until),
);

/** Of the jobs that arrived until then (epoch ms) and wait. */
export async function waitingSummary(db: Db, until: number): Promise<WaitingSummary> {
  const [row] = (await selectSummary(db, { until })).rows;
  return { count: Number(row?.count ?? 0), marks: Number(row?.marks ?? 0) };
}
