/** The condition that keeps tenants apart. Every query on user data has it. */
import { type Expression, type SqlBool, sql } from 'kysely';
import type { Viewer } from '../domain/viewer.ts';

/** Whose rows: one viewer's tenant, or any tenant's, for the gateway's own work and for files whose URL is signed. */
export type Scope = Viewer | 'any';

export function visibleTo(scope: Scope, table: string): Expression<SqlBool> {
  return ofTenant(tenantOf(scope), table);
}

/** Undefined for any. */
export function tenantOf(scope: Scope): string | undefined {
  return scope === 'any' ? undefined : scope.tenant;
}

/** The same for a tenant, or any (undefined). */
export function ofTenant(tenant: string | undefined, table: string): Expression<SqlBool> {
  return tenant === undefined ? sql<SqlBool>`1 = 1` : sql<SqlBool>`${sql.ref(`${table}.tenant`)} = ${tenant}`;
}
