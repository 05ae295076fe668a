/** Rows of jobs as a test wants them, past the recorder: for reading them. */
import type { JobStatus } from '../../src/domain/job.ts';
import type { JsonObject } from '../../src/lib/json.ts';
import { labelKeys } from '../../src/store/label-keys.ts';
import type { Db } from '../../src/store/open.ts';
import { faultToColumns } from '../../src/store/rows.ts';
import type { JobsTable } from '../../src/store/schema.ts';

export interface JobSample {
  readonly id: string;
  readonly tenant?: string;
  readonly user?: string | null;
  readonly status?: JobStatus;
  readonly workflow?: string;
  readonly instance?: string | null;
  readonly createdAt?: number;
  readonly finishedAt?: number | null;
  readonly runMs?: number | null;
  readonly labels?: JsonObject;
  readonly priority?: number;
}

/** A job with its labels. */
export async function putJob(db: Db, sample: JobSample): Promise<void> {
  const row = jobRow(sample);
  await db.insertInto('jobs').values(row).execute();
  for (const label of labelKeys(sample.labels ?? {})) {
    await db
      .insertInto('job_labels')
      .values({ job_id: row.id, tenant: row.tenant, ...label })
      .execute();
  }
}

export function jobRow(sample: JobSample): JobsTable {
  const { id, tenant = 'a', labels = {}, status = 'PENDING', createdAt = 1000 } = sample;
  return {
    id,
    tenant,
    user_id: sample.user ?? null,
    status,
    workflow: sample.workflow ?? 'w',
    inputs: '{}',
    priority: sample.priority ?? 5,
    labels: JSON.stringify(labels),
    needs_key: 'k',
    timeout_ms: 1,
    deadline_at: null,
    max_attempts: 3,
    attempt_count: 0,
    charged_attempts: 0,
    crashes: 0,
    not_before: 0,
    retry_of: null,
    instance_id: sample.instance ?? null,
    seq: 1,
    created_at: createdAt,
    updated_at: createdAt,
    started_at: null,
    finished_at: sample.finishedAt ?? null,
    trace: null,
    run_ms: sample.runMs ?? null,
    ...faultToColumns(null),
  };
}
