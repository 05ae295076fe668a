/**
 * Figures of the past: the outbox of facts, rollups in buckets, usage by day, the newest failure of each kind. How long each
 * attempt was on its instance, and the trace that a job belongs to. An index of the jobs that failed.
 */
import { type Kysely, type Migration, PostgresAdapter, sql } from 'kysely';

async function createOutbox(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('metric_outbox')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addColumn('tenant', 'text', (c) => c.notNull())
    .addColumn('workflow', 'text', (c) => c.notNull())
    .addColumn('instance_id', 'text')
    .addColumn('status', 'text')
    .addColumn('code', 'text')
    .addColumn('message', 'text')
    .addColumn('ms', 'bigint')
    .addColumn('counted', 'integer', (c) => c.notNull())
    .execute();
}

async function createRollups(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('metric_series')
    .addColumn('id', 'bigint', (c) => c.primaryKey())
    .addColumn('measure', 'text', (c) => c.notNull())
    .addColumn('cut', 'text', (c) => c.notNull())
    .addColumn('instance', 'text', (c) => c.notNull())
    .addColumn('workflow', 'text', (c) => c.notNull())
    .addColumn('tenant', 'text', (c) => c.notNull())
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('code', 'text', (c) => c.notNull())
    .execute();
  await sql`create unique index metric_series_of_key
    on metric_series (measure, cut, instance, workflow, tenant, status, code)`.execute(db);
  // the cells of a series side by side, since they are read in long stretches; Postgres keeps rows where they are written
  const isPostgres = db.getExecutor().adapter instanceof PostgresAdapter;
  await db.schema
    .createTable('metric_rollups')
    .addColumn('series_id', 'bigint', (c) => c.notNull())
    .addColumn('width_ms', 'bigint', (c) => c.notNull())
    .addColumn('bucket', 'bigint', (c) => c.notNull())
    .addColumn('count', 'bigint', (c) => c.notNull())
    .addColumn('sum', 'double precision', (c) => c.notNull())
    .addColumn('min', 'double precision')
    .addColumn('max', 'double precision')
    .addColumn('last', 'double precision')
    .addColumn('last_at', 'bigint')
    .addColumn('bins', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('metric_rollups_pk', ['series_id', 'width_ms', 'bucket'])
    .modifyEnd(isPostgres ? sql`` : sql`without rowid`)
    .execute();
  await sql`create index metric_rollups_of_age on metric_rollups (width_ms, bucket)`.execute(db);
}

export const metrics: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await createOutbox(db);
    await createRollups(db);
    await db.schema
      .createTable('metric_usage')
      .addColumn('day', 'bigint', (c) => c.notNull())
      .addColumn('tenant', 'text', (c) => c.notNull())
      .addColumn('workflow', 'text', (c) => c.notNull())
      .addColumn('jobs', 'bigint', (c) => c.notNull())
      .addColumn('gpu_ms', 'bigint', (c) => c.notNull())
      .addColumn('counted_gpu_ms', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('metric_usage_pk', ['day', 'tenant', 'workflow'])
      .execute();
    await db.schema
      .createTable('metric_failures')
      .addColumn('code', 'text', (c) => c.notNull())
      .addColumn('instance', 'text', (c) => c.notNull())
      .addColumn('workflow', 'text', (c) => c.notNull())
      .addColumn('last_at', 'bigint', (c) => c.notNull())
      .addColumn('last_message', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('metric_failures_pk', ['code', 'instance', 'workflow'])
      .execute();
    // null in rows written before
    await db.schema.alterTable('attempts').addColumn('workflow', 'text').execute();
    await db.schema.alterTable('attempts').addColumn('run_ms', 'bigint').execute();
    await db.schema.alterTable('jobs').addColumn('trace', 'text').execute();
    await sql`create index jobs_failed on jobs (tenant, finished_at, id) where status = 'FAILED'`.execute(db);
    // what is too old is found without looking at all
    await sql`create index idempotency_keys_by_age on idempotency_keys (created_at)`.execute(db);
    await sql`create index uploads_by_age on uploads (created_at)`.execute(db);
  },
};
