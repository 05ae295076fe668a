/** Jobs of several instances at once: a list of instances with their jobs costs one query, not one for each. */
import { sql } from 'kysely';
import { grouped } from './grouped.ts';
import type { JobCursor, JobPage } from './jobs.ts';
import type { Db } from './open.ts';
import { jobFromRow } from './rows.ts';
import { type Scope, visibleTo } from './viewer-scope.ts';

/** Of each instance the newest `first` jobs that run or ran last there, from after the cursor; idle ones are absent. */
export async function pageJobsOfInstances(
  db: Db,
  scope: Scope,
  instanceIds: readonly string[],
  { first, after }: { readonly first: number; readonly after?: JobCursor | undefined },
): Promise<Map<string, JobPage>> {
  if (instanceIds.length === 0) return new Map();
  const rank = sql<number>`row_number() over (partition by instance_id order by created_at desc, id desc)`;
  const rows = await db
    .with('ranked', (qc) => {
      const query = qc
        .selectFrom('jobs')
        .selectAll()
        .select(rank.as('rank'))
        .where('instance_id', 'in', instanceIds)
        .where(visibleTo(scope, 'jobs'));
      return after ? query.where(sql<boolean>`(created_at, id) < (${after.createdAt}, ${after.id})`) : query;
    })
    .selectFrom('ranked')
    .selectAll()
    .where('rank', '<=', first + 1)
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .execute();
  const jobs = grouped(rows.map(jobFromRow), (job) => job.instanceId ?? '');
  return new Map(
    [...jobs].map(([id, found]) => [
      id,
      { jobs: found.slice(0, first), hasNext: found.length > first, hasPrevious: after !== undefined },
    ]),
  );
}

/** How many jobs run or ran last on each instance; idle ones are absent. */
export async function countJobsOfInstances(
  db: Db,
  scope: Scope,
  instanceIds: readonly string[],
): Promise<Map<string, number>> {
  if (instanceIds.length === 0) return new Map();
  const rows = await db
    .selectFrom('jobs')
    .select('instance_id')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('instance_id', 'in', instanceIds)
    .where(visibleTo(scope, 'jobs'))
    .groupBy('instance_id')
    .execute();
  return new Map(rows.map((row) => [row.instance_id ?? '', Number(row.count)]));
}
