/** Reading jobs: one, many, a page, counts, and the queue as it stands. Writing them is the recorder's. */
import { type Expression, type SqlBool, sql } from 'kysely';
import type { Graph } from '../domain/graph.ts';
import type { Job, JobStatus } from '../domain/job.ts';
import type { JobFilter } from '../domain/job-filter.ts';
import { inChunks } from './in-chunks.ts';
import { jobConditions } from './job-conditions.ts';
import type { Db } from './open.ts';
import { jobFromRow } from './rows.ts';
import { statement } from './statement.ts';
import { ofTenant, type Scope, tenantOf, visibleTo } from './viewer-scope.ts';

// Written into the text of a query, never bound: SQLite uses a partial index only when it sees the status itself.
const PENDING = sql.lit<JobStatus>('PENDING');

const selectJobs = statement((q, p: { ids: readonly string[]; tenant: string | undefined }) =>
  q.selectFrom('jobs').selectAll().where('id', 'in', p.ids).where(ofTenant(p.tenant, 'jobs')),
);

/** Null when there is none or it is another tenant's. */
export async function findJob(db: Db, scope: Scope, id: string): Promise<Job | null> {
  return (await findJobs(db, scope, [id]))[0] ?? null;
}

/** Those that exist, in no order. */
export async function findJobs(db: Db, scope: Scope, ids: readonly string[]): Promise<Job[]> {
  if (ids.length === 0) return [];
  const { rows } = await selectJobs(db, { ids, tenant: tenantOf(scope) });
  return rows.map(jobFromRow);
}

/** The place of a job in the list of jobs, newest first. */
export interface JobCursor {
  readonly createdAt: number;
  readonly id: string;
}

/** `first` (newest of the range) or `last` (oldest of the range): exactly one; `after` and `before` are exclusive. */
export interface JobPageRequest {
  readonly filter: JobFilter;
  readonly first?: number | undefined;
  readonly after?: JobCursor | undefined;
  readonly last?: number | undefined;
  readonly before?: JobCursor | undefined;
}

export interface JobPage {
  /** Newest first, whichever end was asked for. */
  readonly jobs: Job[];
  readonly hasNext: boolean;
  readonly hasPrevious: boolean;
}

/** One page by keyset, so that jobs inserted meanwhile neither repeat nor hide one. */
export async function pageJobs(db: Db, scope: Scope, request: JobPageRequest): Promise<JobPage> {
  const { filter, first, last, after, before } = request;
  const forward = first !== undefined;
  const size = first ?? last ?? 0;
  let query = db
    .selectFrom('jobs')
    .selectAll()
    .where(jobConditions(scope, filter))
    .orderBy('created_at', forward ? 'desc' : 'asc')
    .orderBy('id', forward ? 'desc' : 'asc')
    .limit(size + 1);
  if (after) query = query.where(compared('<', after));
  if (before) query = query.where(compared('>', before));
  const rows = await query.execute();
  const more = rows.length > size;
  const jobs = rows.slice(0, size).map(jobFromRow);
  return forward
    ? { jobs, hasNext: more, hasPrevious: after !== undefined }
    : { jobs: jobs.reverse(), hasNext: before !== undefined, hasPrevious: more };
}

function compared(operator: '<' | '>', cursor: JobCursor): Expression<SqlBool> {
  return sql<SqlBool>`(jobs.created_at, jobs.id) ${sql.raw(operator)} (${cursor.createdAt}, ${cursor.id})`;
}

export async function countJobs(db: Db, scope: Scope, filter: JobFilter): Promise<number> {
  const row = await db
    .selectFrom('jobs')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where(jobConditions(scope, filter))
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

export interface JobStats {
  readonly total: number;
  readonly byStatus: readonly { readonly status: JobStatus; readonly count: number }[];
  readonly byWorkflow: readonly { readonly name: string; readonly count: number }[];
  /** Where jobs run or ran last; jobs that never ran are in none. Instances of one name count together. */
  readonly byInstance: readonly { readonly name: string; readonly count: number }[];
}

export async function jobStats(db: Db, scope: Scope, filter: JobFilter): Promise<JobStats> {
  const groups = await db
    .selectFrom('jobs')
    .leftJoin('instances', 'instances.id', 'jobs.instance_id')
    .select(['jobs.status', 'jobs.workflow', 'jobs.instance_id', 'instances.name as instance_name'])
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where(jobConditions(scope, filter))
    .groupBy(['jobs.status', 'jobs.workflow', 'jobs.instance_id', 'instances.name'])
    .execute();
  const sums = { status: new Map<JobStatus, number>(), workflow: new Map(), instance: new Map() };
  let total = 0;
  for (const group of groups) {
    const count = Number(group.count);
    total += count;
    add(sums.status, group.status, count);
    add(sums.workflow, group.workflow, count);
    const instance = group.instance_name ?? group.instance_id;
    if (instance !== null) add(sums.instance, instance, count);
  }
  return {
    total,
    byStatus: [...sums.status].map(([status, count]) => ({ status, count })),
    byWorkflow: named(sums.workflow),
    byInstance: named(sums.instance),
  };
}

function add<K>(sums: Map<K, number>, key: K, count: number): void {
  sums.set(key, (sums.get(key) ?? 0) + count);
}

function named(sums: ReadonlyMap<string, number>): { name: string; count: number }[] {
  return [...sums]
    .map(([name, count]) => ({ name, count }))
    .sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1));
}

const selectPlaces = statement((q, p: { ids: readonly string[] }) =>
  q
    .with('ranked', (qc) =>
      qc
        .selectFrom('jobs')
        .select('id')
        .select(sql<number>`row_number() over (order by priority desc, created_at, id)`.as('place'))
        .where('status', '=', PENDING),
    )
    .selectFrom('ranked')
    .selectAll()
    .where('id', 'in', p.ids),
);

/** The places, from 1, of those of the jobs that are waiting, in the order priority, arrival. */
export async function queuePositions(db: Db, ids: readonly string[]): Promise<Map<string, number>> {
  if (ids.length === 0) return new Map();
  const { rows } = await selectPlaces(db, { ids });
  return new Map(rows.map((row) => [row.id, Number(row.place)]));
}

/** What the planner needs of a waiting job. */
export interface PendingJob {
  readonly id: string;
  readonly tenant: string;
  readonly workflow: string;
  /** Cursor of its newest durable event. */
  readonly seq: number;
  readonly priority: number;
  readonly needsKey: string;
  readonly createdAt: number;
  readonly notBefore: number;
  readonly deadlineAt: number | null;
  readonly timeoutMs: number;
  readonly attemptCount: number;
  readonly chargedAttempts: number;
  /** Attempts whose instance went down with them: such a job is given an instance of its own. */
  readonly crashes: number;
  readonly maxAttempts: number;
  /** Where its last attempt ran; null before the first. */
  readonly lastInstanceId: string | null;
  /** Stored files its graph takes. */
  readonly fileCount: number;
  /** When it was submitted, or its last attempt ended. */
  readonly pendingSince: number;
  /** W3C traceparent of the request that submitted it. */
  readonly trace: string | null;
}

function selectPending(db: Db) {
  return db
    .selectFrom('jobs')
    .select([
      'id',
      'tenant',
      'workflow',
      'seq',
      'priority',
      'needs_key as needsKey',
      'created_at as createdAt',
      'not_before as notBefore',
      'deadline_at as deadlineAt',
      'timeout_ms as timeoutMs',
      'attempt_count as attemptCount',
      'charged_attempts as chargedAttempts',
      'crashes',
      'max_attempts as maxAttempts',
      'instance_id as lastInstanceId',
      'updated_at as pendingSince',
      'trace',
    ])
    .select((eb) =>
      eb
        .selectFrom('job_files')
        .select((files) => files.fn.countAll<number>().as('n'))
        .whereRef('job_files.job_id', '=', 'jobs.id')
        .$asScalar()
        .$notNull()
        .as('fileCount'),
    )
    .where('status', '=', PENDING);
}

const selectPendingJobs = statement((q, p: { ids: readonly string[] }) =>
  selectPending(q).where('id', 'in', p.ids),
);

/** Those of the jobs that wait, in no order. */
export async function findPendingJobs(db: Db, ids: readonly string[]): Promise<PendingJob[]> {
  return inChunks(ids, async (some) => (await selectPendingJobs(db, { ids: some })).rows);
}

/** The waiting jobs of every tenant in the order priority, arrival. */
export async function pendingJobs(db: Db, limit?: number): Promise<PendingJob[]> {
  let query = selectPending(db).orderBy('priority', 'desc').orderBy('created_at').orderBy('id');
  if (limit !== undefined) query = query.limit(limit);
  return query.execute();
}

const selectGraph = statement((q, p: { jobId: string }) =>
  q.selectFrom('job_graphs').select('graph').where('job_id', '=', p.jobId),
);

/** The job's graph with file references, not yet made ready for an instance; null when the job is gone. */
export async function findGraph(db: Db, jobId: string): Promise<Graph | null> {
  const [row] = (await selectGraph(db, { jobId })).rows;
  return row ? (JSON.parse(row.graph) as Graph) : null;
}

export interface QueueCounts {
  readonly pending: number;
  readonly processing: number;
  /** When the longest waiting job was submitted, epoch ms; null when none waits. */
  readonly oldestPendingAt: number | null;
}

const selectCounts = statement((q) =>
  q.selectNoFrom((eb) => [
    eb
      .selectFrom('jobs')
      .select((e) => e.fn.countAll<number>().as('n'))
      .where('status', '=', PENDING)
      .as('pending'),
    eb
      .selectFrom('jobs')
      .select((e) => e.fn.countAll<number>().as('n'))
      .where('status', '=', sql.lit<JobStatus>('PROCESSING'))
      .as('processing'),
    eb
      .selectFrom('jobs')
      .select((e) => e.fn.min('created_at').as('at'))
      .where('status', '=', PENDING)
      .as('oldest'),
  ]),
);

export async function queueCounts(db: Db): Promise<QueueCounts> {
  const [row] = (await selectCounts(db, {})).rows;
  return {
    pending: Number(row?.pending ?? 0),
    processing: Number(row?.processing ?? 0),
    oldestPendingAt: row?.oldest ?? null,
  };
}

/** Which ended jobs. */
export interface EndedQuery {
  /** Those that ended before this moment, epoch ms. */
  readonly before: number;
  readonly statuses: readonly JobStatus[];
  /** Those that come after this one. */
  readonly after?: EndedJob | undefined;
}

export interface EndedJob {
  readonly id: string;
  readonly finishedAt: number;
}

/** Ended jobs, oldest end first. */
export async function endedBefore(
  db: Db,
  scope: Scope,
  { before, statuses, after }: EndedQuery,
  limit: number,
): Promise<EndedJob[]> {
  if (statuses.length === 0) return [];
  let query = db
    .selectFrom('jobs')
    .select('id')
    .select((eb) => eb.ref('finished_at').$notNull().as('finishedAt'))
    .where('finished_at', 'is not', null)
    .where('finished_at', '<', before)
    .where('status', 'in', statuses)
    .where(visibleTo(scope, 'jobs'))
    .orderBy('finished_at')
    .orderBy('id')
    .limit(limit);
  if (after) {
    const { id, finishedAt } = after;
    query = query
      .where('finished_at', '>=', finishedAt)
      .where((eb) => eb.or([eb('finished_at', '>', finishedAt), eb('id', '>', id)]));
  }
  return query.execute();
}
