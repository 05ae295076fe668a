/** Reading outputs. Those of a lost or retried attempt are no rows any more. */
import type { Output } from '../domain/output.ts';
import { grouped } from './grouped.ts';
import type { Db } from './open.ts';
import { outputFromRow } from './rows.ts';
import { statement } from './statement.ts';
import { ofTenant, type Scope, tenantOf } from './viewer-scope.ts';

const selectOfJobs = statement((q, p: { jobIds: readonly string[]; tenant: string | undefined }) =>
  q
    .selectFrom('outputs')
    .selectAll()
    .where('job_id', 'in', p.jobIds)
    .where(ofTenant(p.tenant, 'outputs'))
    .orderBy('job_id')
    .orderBy('ordinal')
    .orderBy('node')
    .orderBy('id'),
);

const selectOutputs = statement((q, p: { ids: readonly string[]; tenant: string | undefined }) =>
  q.selectFrom('outputs').selectAll().where('id', 'in', p.ids).where(ofTenant(p.tenant, 'outputs')),
);

/** By job id, in the order they were made; jobs without any are absent. */
export async function outputsOfJobs(
  db: Db,
  scope: Scope,
  jobIds: readonly string[],
): Promise<Map<string, Output[]>> {
  if (jobIds.length === 0) return new Map();
  const { rows } = await selectOfJobs(db, { jobIds, tenant: tenantOf(scope) });
  return grouped(rows.map(outputFromRow), (output) => output.jobId);
}

/** Null when there is none, it was withdrawn, or it is another tenant's. */
export async function findOutput(db: Db, scope: Scope, id: string): Promise<Output | null> {
  return (await findOutputs(db, scope, [id]))[0] ?? null;
}

/** Those that exist, in no order. */
export async function findOutputs(db: Db, scope: Scope, ids: readonly string[]): Promise<Output[]> {
  if (ids.length === 0) return [];
  const { rows } = await selectOutputs(db, { ids, tenant: tenantOf(scope) });
  return rows.map(outputFromRow);
}
