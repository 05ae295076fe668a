/**
 * The row of a new job, if it may wait: a limit of all tenants together, and one of its own. Where several processes insert at
 * once, a count does not see what others have not committed. Far from a limit that is of no account; near it they go one by
 * one. Those far from it hold its key together, so that whoever goes alone has waited for their end and counts them.
 */
import { type Expression, type SqlBool, sql } from 'kysely';
import { keyShared, lockKey } from '../store/engine-sql.ts';
import { queueCounts } from '../store/jobs.ts';
import type { Db } from '../store/open.ts';
import type { JobsTable } from '../store/schema.ts';
import { statement } from '../store/statement.ts';

export interface QueueLimits {
  /** Most jobs that may wait at once, of all tenants; null for no limit. */
  readonly maxQueued: number | null;
  /** The same of the job's tenant alone. */
  readonly maxQueuedOfTenant?: number | null;
}

/** A limit that was reached. */
export interface QueueLimit {
  readonly of: 'all' | 'tenant';
  readonly max: number;
}

/** More than there are transactions at once: what those insert that a count did not see yet. */
const UNSEEN = 1000;
const LIMIT_KEY = 'queue-limit';

/** The limit that keeps the job out, nothing being written then; null when it is in. */
export async function insertJob(
  tx: Db,
  row: JobsTable,
  limits: QueueLimits | undefined,
): Promise<QueueLimit | null> {
  const { maxQueued = null, maxQueuedOfTenant: ofTenant = null } = limits ?? {};
  // its own limit first, always: locks that are taken in one order make no deadlock
  if (ofTenant !== null && !(await tenantHasRoom(tx, row.tenant, ofTenant)))
    return { of: 'tenant', max: ofTenant };
  const isIn = await insertWithinAll(tx, row, maxQueued);
  return isIn || maxQueued === null ? null : { of: 'all', max: maxQueued };
}

/** The limit that is reached already: a look, to spare a full gateway work. */
export async function reachedLimit(db: Db, tenant: string, limits: QueueLimits): Promise<QueueLimit | null> {
  const { maxQueued, maxQueuedOfTenant: ofTenant = null } = limits;
  if (ofTenant !== null && (await countOfTenant(db, tenant)).waiting >= ofTenant)
    return { of: 'tenant', max: ofTenant };
  const isFull = maxQueued !== null && (await queueCounts(db)).pending >= maxQueued;
  return isFull ? { of: 'all', max: maxQueued } : null;
}

/** True: and it stays so until the transaction ends, for nobody else fills the room meanwhile. */
async function tenantHasRoom(tx: Db, tenant: string, max: number): Promise<boolean> {
  const key = `${LIMIT_KEY}:${tenant}`;
  const { waiting, shared } = await countOfTenant(tx, tenant, { key, limit: max - UNSEEN });
  if (waiting >= max) return false;
  if (shared) return true;
  await lockKey(tx, key);
  return (await countOfTenant(tx, tenant)).waiting < max;
}

interface TenantCount {
  readonly waiting: number;
  readonly shared: boolean;
}

/** How many of the tenant wait; `shared`: they are fewer than the limit, and the key is held with others. */
async function countOfTenant(
  tx: Db,
  tenant: string,
  far?: { readonly key: string; readonly limit: number },
): Promise<TenantCount> {
  const shared = far && far.limit > 0 ? isFar(sql`waiting`, far.limit, keyShared(tx, far.key)) : FALSE;
  const { rows } = await sql<{ waiting: number; shared: boolean | number }>`
    select waiting, ${shared} as shared
    from (select count(*) as waiting from jobs where status = 'PENDING' and tenant = ${tenant}) as counted
  `.execute(tx);
  return { waiting: Number(rows[0]?.waiting ?? 0), shared: Boolean(rows[0]?.shared) };
}

async function insertWithinAll(tx: Db, row: JobsTable, maxQueued: number | null): Promise<boolean> {
  const unbound = { ...row, limit: undefined, farLimit: undefined };
  if (maxQueued === null) return isInserted(await insertWithin(tx, unbound));
  const far = { ...unbound, farLimit: maxQueued - UNSEEN };
  if (maxQueued > UNSEEN && isInserted(await insertWithin(tx, far))) return true;
  await lockKey(tx, LIMIT_KEY);
  return isInserted(await insertWithin(tx, { ...unbound, limit: maxQueued }));
}

const isInserted = ({ numAffectedRows = 0n }: { readonly numAffectedRows?: bigint }): boolean =>
  numAffectedRows > 0n;

type Insertion = JobsTable & { readonly limit: number | undefined; readonly farLimit: number | undefined };

/** One statement counts and inserts. */
const insertWithin = statement((q, { limit, farLimit, ...row }: Insertion) => {
  const names = Object.keys(row) as (keyof JobsTable)[];
  let room = TRUE;
  if (limit !== undefined) room = isFar(ALL_WAITING, limit, TRUE);
  if (farLimit !== undefined) room = isFar(ALL_WAITING, farLimit, keyShared(q, LIMIT_KEY));
  return q
    .insertInto('jobs')
    .columns(names)
    .expression(q.selectNoFrom((eb) => names.map((name) => eb.val(row[name]).as(name))).where(room));
});

const TRUE: Expression<SqlBool> = sql<SqlBool>`1 = 1`;
const FALSE: Expression<SqlBool> = sql<SqlBool>`1 = 0`;
const ALL_WAITING = sql`(select count(*) from jobs where status = 'PENDING')`;

/** The key is only asked for where there is room: whoever got it inserts, and nobody has it who still waits for the lock. */
function isFar(
  waiting: Expression<unknown>,
  limit: number,
  keyIsShared: Expression<SqlBool>,
): Expression<SqlBool> {
  return sql<SqlBool>`case when ${waiting} < ${limit} then ${keyIsShared} else 1 = 0 end`;
}
