/** Reading outputs. Those of a lost or retried attempt are no rows any more. */
import type { Output } from '../domain/output.ts';
import { grouped } from './grouped.ts';
import type { Db } from './open.ts';
import { outputFromRow } from './rows.ts';
import { type Scope, visibleTo } from './viewer-scope.ts';

/** By job id, in the order they were made; jobs without any are absent. */
export async function outputsOfJobs(
  db: Db,
  scope: Scope,
  jobIds: readonly string[],
): Promise<Map<string, Output[]>> {
  if (jobIds.length === 0) return new Map();
  const rows = await db
    .selectFrom('outputs')
    .selectAll()
    .where('job_id', 'in', jobIds)
    .where(visibleTo(scope, 'outputs'))
    .orderBy('job_id')
    .orderBy('ordinal')
    .orderBy('node')
    .orderBy('id')
    .execute();
  return grouped(rows.map(outputFromRow), (output) => output.jobId);
}

/** Null when there is none, it was withdrawn, or it is another tenant's. */
export async function findOutput(db: Db, scope: Scope, id: string): Promise<Output | null> {
  const row = await db
    .selectFrom('outputs')
    .selectAll()
    .where('id', '=', id)
    .where(visibleTo(scope, 'outputs'))
    .executeTakeFirst();
  return row ? outputFromRow(row) : null;
}

/** Those that exist, in no order. */
export async function findOutputs(db: Db, scope: Scope, ids: readonly string[]): Promise<Output[]> {
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom('outputs')
    .selectAll()
    .where('id', 'in', ids)
    .where(visibleTo(scope, 'outputs'))
    .execute();
  return rows.map(outputFromRow);
}
