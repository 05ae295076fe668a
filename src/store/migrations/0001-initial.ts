/** The first tables. Only what SQLite and Postgres both understand; partial indexes are in both. */
import { type Kysely, type Migration, sql } from 'kysely';

const ERROR_COLUMNS = ['error_code', 'error_message', 'error_node_id', 'error_node_type'] as const;

async function createJobs(db: Kysely<unknown>): Promise<void> {
  let table = db.schema
    .createTable('jobs')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('tenant', 'text', (c) => c.notNull())
    .addColumn('user_id', 'text')
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('workflow', 'text', (c) => c.notNull())
    .addColumn('inputs', 'text', (c) => c.notNull())
    .addColumn('priority', 'integer', (c) => c.notNull())
    .addColumn('labels', 'text', (c) => c.notNull())
    .addColumn('needs_key', 'text', (c) => c.notNull())
    .addColumn('timeout_ms', 'bigint', (c) => c.notNull())
    .addColumn('deadline_at', 'bigint')
    .addColumn('max_attempts', 'integer', (c) => c.notNull())
    .addColumn('attempt_count', 'integer', (c) => c.notNull())
    .addColumn('charged_attempts', 'integer', (c) => c.notNull())
    .addColumn('not_before', 'bigint', (c) => c.notNull())
    .addColumn('retry_of', 'text')
    .addColumn('instance_id', 'text')
    .addColumn('seq', 'integer', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addColumn('started_at', 'bigint')
    .addColumn('finished_at', 'bigint')
    .addColumn('run_ms', 'bigint')
    .addColumn('error_retryable', 'integer');
  for (const column of ERROR_COLUMNS) table = table.addColumn(column, 'text');
  await table.execute();
  await sql`create index jobs_newest on jobs (tenant, created_at desc, id desc)`.execute(db);
  await sql`create index jobs_waiting on jobs (priority desc, created_at, id) where status = 'PENDING'`.execute(
    db,
  );
  await sql`create index jobs_processing on jobs (id) where status = 'PROCESSING'`.execute(db);
  await sql`create index jobs_ended on jobs (finished_at) where finished_at is not null`.execute(db);
}

async function createAttempts(db: Kysely<unknown>): Promise<void> {
  let table = db.schema
    .createTable('attempts')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('job_id', 'text', (c) => c.notNull())
    .addColumn('tenant', 'text', (c) => c.notNull())
    .addColumn('number', 'integer', (c) => c.notNull())
    .addColumn('instance_id', 'text', (c) => c.notNull())
    .addColumn('instance_name', 'text', (c) => c.notNull())
    .addColumn('slot', 'integer', (c) => c.notNull())
    .addColumn('term', 'bigint', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('outcome', 'text')
    .addColumn('charged', 'integer', (c) => c.notNull())
    .addColumn('deadline_at', 'bigint', (c) => c.notNull())
    .addColumn('started_at', 'bigint', (c) => c.notNull())
    .addColumn('running_at', 'bigint')
    .addColumn('finished_at', 'bigint')
    .addColumn('error_retryable', 'integer');
  for (const column of ERROR_COLUMNS) table = table.addColumn(column, 'text');
  await table.execute();
  await sql`create unique index attempts_of_job on attempts (job_id, number)`.execute(db);
  // Two open attempts never share a slot, and a job never has two: whoever comes second is refused by the store.
  await sql`create unique index attempts_open_slot on attempts (instance_id, slot) where outcome is null`.execute(
    db,
  );
  await sql`create unique index attempts_open_job on attempts (job_id) where outcome is null`.execute(db);
}

async function createJobParts(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('job_graphs')
    .addColumn('job_id', 'text', (c) => c.primaryKey())
    .addColumn('graph', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('needs')
    .addColumn('needs_key', 'text', (c) => c.primaryKey())
    .addColumn('node_types', 'text', (c) => c.notNull())
    .addColumn('models', 'text', (c) => c.notNull())
    .addColumn('blocked_by', 'text')
    .addColumn('blocked_at', 'bigint')
    .execute();
  await db.schema
    .createTable('job_labels')
    .addColumn('job_id', 'text', (c) => c.notNull())
    .addColumn('tenant', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('value', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('job_labels_pk', ['job_id', 'name'])
    .execute();
  await sql`create index job_labels_by_value on job_labels (tenant, name, value)`.execute(db);
  await db.schema
    .createTable('job_events')
    .addColumn('job_id', 'text', (c) => c.notNull())
    .addColumn('tenant', 'text', (c) => c.notNull())
    .addColumn('seq', 'integer', (c) => c.notNull())
    .addColumn('type', 'text', (c) => c.notNull())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addColumn('data', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('job_events_pk', ['job_id', 'seq'])
    .execute();
  await db.schema
    .createTable('idempotency_keys')
    .addColumn('tenant', 'text', (c) => c.notNull())
    .addColumn('key', 'text', (c) => c.notNull())
    .addColumn('body_hash', 'text', (c) => c.notNull())
    .addColumn('job_id', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('idempotency_keys_pk', ['tenant', 'key'])
    .execute();
}

async function createFiles(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('outputs')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('job_id', 'text', (c) => c.notNull())
    .addColumn('attempt_id', 'text', (c) => c.notNull())
    .addColumn('tenant', 'text', (c) => c.notNull())
    .addColumn('node', 'text', (c) => c.notNull())
    .addColumn('ordinal', 'integer', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('mime_type', 'text', (c) => c.notNull())
    .addColumn('filename', 'text')
    .addColumn('sha256', 'text')
    .addColumn('bytes', 'bigint')
    .addColumn('width', 'integer')
    .addColumn('height', 'integer')
    .addColumn('text', 'text')
    .addColumn('temporary', 'integer', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .execute();
  await sql`create unique index outputs_of_attempt on outputs (attempt_id, node, ordinal)`.execute(db);
  await sql`create index outputs_of_job on outputs (job_id)`.execute(db);
  await sql`create index outputs_by_content on outputs (tenant, sha256)`.execute(db);
  await db.schema
    .createTable('uploads')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('tenant', 'text', (c) => c.notNull())
    .addColumn('user_id', 'text')
    .addColumn('filename', 'text')
    .addColumn('mime_type', 'text', (c) => c.notNull())
    .addColumn('width', 'integer', (c) => c.notNull())
    .addColumn('height', 'integer', (c) => c.notNull())
    .addColumn('bytes', 'bigint', (c) => c.notNull())
    .addColumn('sha256', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .execute();
  await sql`create index uploads_by_content on uploads (tenant, sha256)`.execute(db);
  await db.schema
    .createTable('job_files')
    .addColumn('job_id', 'text', (c) => c.notNull())
    .addColumn('tenant', 'text', (c) => c.notNull())
    .addColumn('sha256', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('job_files_pk', ['job_id', 'sha256'])
    .execute();
  await sql`create index job_files_by_content on job_files (tenant, sha256)`.execute(db);
  await db.schema
    .createTable('dropped_blobs')
    .addColumn('tenant', 'text', (c) => c.notNull())
    .addColumn('sha256', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('dropped_blobs_pk', ['tenant', 'sha256'])
    .execute();
}

async function createFleet(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('instances')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('url', 'text', (c) => c.notNull())
    .addColumn('origin', 'text', (c) => c.notNull())
    .addColumn('capacity', 'integer', (c) => c.notNull())
    .addColumn('draining', 'integer', (c) => c.notNull())
    .addColumn('health', 'text', (c) => c.notNull())
    .addColumn('breaker', 'text', (c) => c.notNull())
    .addColumn('last_seen_at', 'bigint')
    .addColumn('last_error', 'text')
    .addColumn('response_ms', 'double precision')
    .addColumn('up_since', 'bigint')
    .addColumn('queue_running', 'integer', (c) => c.notNull())
    .addColumn('queue_pending', 'integer', (c) => c.notNull())
    .addColumn('foreign_prompts', 'integer', (c) => c.notNull())
    .addColumn('comfyui_version', 'text')
    .addColumn('gpu', 'text')
    .addColumn('vram_total_bytes', 'bigint')
    .addColumn('vram_free_bytes', 'bigint')
    .addColumn('inventory_key', 'text')
    .addColumn('client_id', 'text')
    .addColumn('removed_at', 'bigint')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute();
  await sql`create unique index instances_live_url on instances (url) where removed_at is null`.execute(db);
  await db.schema
    .createTable('inventories')
    .addColumn('inventory_key', 'text', (c) => c.primaryKey())
    .addColumn('node_types', 'text', (c) => c.notNull())
    .addColumn('models', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('leases')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('holder', 'text', (c) => c.notNull())
    .addColumn('term', 'bigint', (c) => c.notNull())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('settings')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('value', 'text', (c) => c.notNull())
    .execute();
}

export const initial: Migration = {
  async up(db) {
    await createJobs(db);
    await createAttempts(db);
    await createJobParts(db);
    await createFiles(db);
    await createFleet(db);
  },
};
