/** Rows to domain values and back: the only place that knows how a noun is flattened into columns. */
import type { Fault } from '../domain/fault.ts';
import type { Instance } from '../domain/instance.ts';
import type { Attempt, Job } from '../domain/job.ts';
import type { DurableEvent, JobEventRow } from '../domain/job-event.ts';
import type { Output, StoredUpload } from '../domain/output.ts';
import type { JsonObject } from '../lib/json.ts';
import type {
  AttemptsTable,
  ErrorColumns,
  InstancesTable,
  JobEventsTable,
  JobsTable,
  OutputsTable,
  UploadsTable,
} from './schema.ts';

export function jobFromRow(row: JobsTable): Job {
  return {
    id: row.id,
    tenant: row.tenant,
    user: row.user_id,
    status: row.status,
    workflow: row.workflow,
    inputs: JSON.parse(row.inputs) as JsonObject,
    priority: row.priority,
    labels: JSON.parse(row.labels) as JsonObject,
    needsKey: row.needs_key,
    timeoutMs: row.timeout_ms,
    deadlineAt: row.deadline_at,
    maxAttempts: row.max_attempts,
    attemptCount: row.attempt_count,
    chargedAttempts: row.charged_attempts,
    crashes: row.crashes,
    notBefore: row.not_before,
    retryOf: row.retry_of,
    instanceId: row.instance_id,
    seq: row.seq,
    error: faultFromRow(row),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    runMs: row.run_ms,
    trace: row.trace,
  };
}

export function attemptFromRow(row: AttemptsTable): Attempt {
  return {
    id: row.id,
    jobId: row.job_id,
    tenant: row.tenant,
    number: row.number,
    instanceId: row.instance_id,
    instanceName: row.instance_name,
    slot: row.slot,
    term: row.term,
    state: row.state,
    charged: row.charged === 1,
    error: faultFromRow(row),
    deadlineAt: row.deadline_at,
    startedAt: row.started_at,
    runningAt: row.running_at,
    finishedAt: row.finished_at,
    runMs: row.run_ms,
  };
}

export function outputFromRow(row: OutputsTable): Output {
  return {
    id: row.id,
    jobId: row.job_id,
    attemptId: row.attempt_id,
    tenant: row.tenant,
    node: row.node,
    ordinal: row.ordinal,
    kind: row.kind,
    mimeType: row.mime_type,
    filename: row.filename,
    sha256: row.sha256,
    bytes: row.bytes,
    width: row.width,
    height: row.height,
    text: row.text,
    temporary: row.temporary === 1,
    createdAt: row.created_at,
  };
}

export function outputToRow(output: Output): OutputsTable {
  return {
    id: output.id,
    job_id: output.jobId,
    attempt_id: output.attemptId,
    tenant: output.tenant,
    node: output.node,
    ordinal: output.ordinal,
    kind: output.kind,
    mime_type: output.mimeType,
    filename: output.filename,
    sha256: output.sha256,
    bytes: output.bytes,
    width: output.width,
    height: output.height,
    text: output.text,
    temporary: output.temporary ? 1 : 0,
    created_at: output.createdAt,
  };
}

export function uploadFromRow(row: UploadsTable): StoredUpload {
  return {
    id: row.id,
    tenant: row.tenant,
    user: row.user_id,
    filename: row.filename,
    mimeType: row.mime_type,
    width: row.width,
    height: row.height,
    bytes: row.bytes,
    sha256: row.sha256,
    createdAt: row.created_at,
  };
}

export function eventFromRow(row: JobEventsTable): JobEventRow {
  const event = { type: row.type, ...(JSON.parse(row.data) as object) } as DurableEvent;
  return { jobId: row.job_id, tenant: row.tenant, seq: row.seq, at: row.at, event };
}

export function eventToRow(entry: JobEventRow): JobEventsTable {
  const { type, ...data } = entry.event;
  const { jobId: job_id, tenant, seq, at } = entry;
  return { job_id, tenant, seq, type, at, data: JSON.stringify(data) };
}

export function instanceFromRow(row: InstancesTable): Instance {
  return {
    id: row.id,
    name: row.name,
    url: row.url,
    origin: row.origin,
    capacity: row.capacity,
    draining: row.draining === 1,
    health: row.health,
    breaker: row.breaker,
    lastSeenAt: row.last_seen_at,
    lastError: row.last_error,
    responseMs: row.response_ms,
    upSince: row.up_since,
    queueRunning: row.queue_running,
    queuePending: row.queue_pending,
    foreignPrompts: row.foreign_prompts,
    comfyuiVersion: row.comfyui_version,
    gpu: row.gpu,
    vramTotalBytes: row.vram_total_bytes,
    vramFreeBytes: row.vram_free_bytes,
    loadedModels: JSON.parse(row.loaded_models) as string[],
    inventoryKey: row.inventory_key,
    removedAt: row.removed_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

function faultFromRow(row: ErrorColumns): Fault | null {
  if (row.error_code === null) return null;
  return {
    code: row.error_code as Fault['code'],
    message: row.error_message ?? '',
    nodeId: row.error_node_id,
    nodeType: row.error_node_type,
    retryable: row.error_retryable === 1,
  };
}

/** The columns of a fault; null clears them. */
export function faultToColumns(fault: Fault | null): ErrorColumns {
  return {
    error_code: fault?.code ?? null,
    error_message: fault?.message ?? null,
    error_node_id: fault?.nodeId ?? null,
    error_node_type: fault?.nodeType ?? null,
    error_retryable: fault === null ? null : fault.retryable ? 1 : 0,
  };
}
