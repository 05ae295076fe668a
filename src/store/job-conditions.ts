/** A JobFilter as SQL; `matches` in domain/job-filter.ts answers the same question in memory. */
import { type Expression, type ExpressionBuilder, type SqlBool, sql } from 'kysely';
import type { JobFilter } from '../domain/job-filter.ts';
import { labelKeys } from './label-keys.ts';
import type { Tables } from './schema.ts';
import { type Scope, visibleTo } from './viewer-scope.ts';

type JobExpressions = ExpressionBuilder<Tables, 'jobs'>;

/** For `.where(...)` of a query on jobs. */
export function jobConditions(scope: Scope, filter: JobFilter): (eb: JobExpressions) => Expression<SqlBool> {
  return (eb) => {
    const { status, workflow, instance, owner, createdAfter, createdBefore, label } = filter;
    const all: Expression<SqlBool>[] = [visibleTo(scope, 'jobs')];
    if (status) all.push(oneOf(eb, 'jobs.status', status));
    if (workflow) all.push(oneOf(eb, 'jobs.workflow', workflow));
    if (instance) all.push(oneOf(eb, 'jobs.instance_id', instance));
    if (owner !== undefined) all.push(eb('jobs.user_id', '=', owner));
    if (createdAfter !== undefined) all.push(eb('jobs.created_at', '>=', createdAfter));
    if (createdBefore !== undefined) all.push(eb('jobs.created_at', '<', createdBefore));
    for (const { name, value } of labelKeys(label ?? {})) {
      all.push(
        eb.exists(
          eb
            .selectFrom('job_labels')
            .select('job_labels.job_id')
            .whereRef('job_labels.job_id', '=', 'jobs.id')
            .where('job_labels.name', '=', name)
            .where('job_labels.value', '=', value),
        ),
      );
    }
    return eb.and(all);
  };
}

/** `in ()` is no SQL everywhere, so an empty list says plainly that nothing matches. */
function oneOf(
  eb: JobExpressions,
  column: 'jobs.status' | 'jobs.workflow' | 'jobs.instance_id',
  values: readonly string[],
): Expression<SqlBool> {
  if (values.length === 0) return sql<SqlBool>`1 = 0`;
  return eb(column, 'in', [...new Set(values)]);
}
