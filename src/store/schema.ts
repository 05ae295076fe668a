/**
 * The tables, as Kysely sees them. Portable on purpose: text ids, epoch-ms and byte counts as integers (bigint),
 * JSON as text, booleans as 0/1. Every table that holds user data carries its tenant; migrations/ creates them.
 */

import type { BreakerState, InstanceHealth } from '../domain/instance.ts';
import type { AttemptOutcome, AttemptState, JobStatus } from '../domain/job.ts';
import type { DurableEventType } from '../domain/job-event.ts';
import type { MetricFactKind } from '../domain/metric-fact.ts';
import type { Cut, Measure, Width } from '../domain/metric-measure.ts';
import type { OutputKind } from '../domain/output.ts';
import type { WishKind } from '../domain/wish.ts';

type Flag = 0 | 1;

/** The columns of a Fault, flattened; `error_code` null means none. */
export interface ErrorColumns {
  error_code: string | null;
  error_message: string | null;
  error_node_id: string | null;
  error_node_type: string | null;
  error_retryable: Flag | null;
}

export interface JobsTable extends ErrorColumns {
  id: string;
  tenant: string;
  user_id: string | null;
  status: JobStatus;
  workflow: string;
  inputs: string;
  priority: number;
  labels: string;
  needs_key: string;
  timeout_ms: number;
  deadline_at: number | null;
  max_attempts: number;
  attempt_count: number;
  charged_attempts: number;
  crashes: number;
  not_before: number;
  retry_of: string | null;
  instance_id: string | null;
  /** Newest durable event; the next one is seq + 1, taken in the same UPDATE. */
  seq: number;
  created_at: number;
  updated_at: number;
  started_at: number | null;
  finished_at: number | null;
  run_ms: number | null;
  /** W3C traceparent of the request that submitted it; null when that was not traced. */
  trace: string | null;
}

/** The bound graph of a job, apart from its row because it is large and read once an attempt. */
export interface JobGraphsTable {
  job_id: string;
  graph: string;
}

/** What a class of jobs needs to run; shared by every job with the same needs_key. */
export interface NeedsTable {
  needs_key: string;
  node_types: string;
  models: string;
  /** JSON: which input names which model; null in rows of older versions. */
  uses: string | null;
  /** Why the class is left waiting now, one line for a person; null when merely waiting its turn. */
  blocked_by: string | null;
  blocked_at: number | null;
}

export interface AttemptsTable extends ErrorColumns {
  /** ComfyUI's prompt_id. */
  id: string;
  job_id: string;
  tenant: string;
  number: number;
  instance_id: string;
  instance_name: string;
  slot: number;
  term: number;
  state: AttemptState;
  outcome: AttemptOutcome | null;
  charged: Flag;
  deadline_at: number;
  started_at: number;
  running_at: number | null;
  finished_at: number | null;
  /** Time on the instance in ms, once it ended; null while it has not. */
  run_ms: number | null;
  /** The job's workflow, since the job may be deleted first; null in rows of older versions. */
  workflow: string | null;
}

export interface JobEventsTable {
  job_id: string;
  tenant: string;
  seq: number;
  type: DurableEventType;
  at: number;
  /** The event's own fields as JSON. */
  data: string;
}

export interface OutputsTable {
  id: string;
  job_id: string;
  attempt_id: string;
  tenant: string;
  node: string;
  ordinal: number;
  kind: OutputKind;
  mime_type: string;
  filename: string | null;
  sha256: string | null;
  bytes: number | null;
  width: number | null;
  height: number | null;
  text: string | null;
  temporary: Flag;
  created_at: number;
}

export interface UploadsTable {
  id: string;
  tenant: string;
  user_id: string | null;
  filename: string | null;
  mime_type: string;
  width: number;
  height: number;
  bytes: number;
  sha256: string;
  created_at: number;
}

/** Which stored files a job's graph takes, so that a file is kept as long as a job needs it. */
export interface JobFilesTable {
  job_id: string;
  tenant: string;
  sha256: string;
}

/** A job's labels once more, one row each, so that a filter on labels is plain SQL (see label-keys.ts). */
export interface JobLabelsTable {
  job_id: string;
  tenant: string;
  name: string;
  value: string;
}

/**
 * Blobs that some row stopped naming, noted in the transaction that removed the row. Retention removes the files that
 * nothing names any more; so a crash between commit and removal leaves no file behind.
 */
export interface DroppedBlobsTable {
  tenant: string;
  sha256: string;
}

/** Files that must not be removed because a row that names them is about to be written (see blob-pins.ts). */
export interface BlobPinsTable {
  tenant: string;
  sha256: string;
  id: string;
  expires_at: number;
}

export interface IdempotencyTable {
  tenant: string;
  key: string;
  body_hash: string;
  job_id: string;
  created_at: number;
}

export interface InstancesTable {
  id: string;
  name: string;
  /** Without a login. */
  url: string;
  /** `user:password`, each percent-encoded; null for none. It is read by findLogin only. */
  login: string | null;
  origin: 'config' | 'added';
  capacity: number;
  draining: Flag;
  health: InstanceHealth;
  breaker: BreakerState;
  last_seen_at: number | null;
  last_error: string | null;
  response_ms: number | null;
  up_since: number | null;
  queue_running: number;
  queue_pending: number;
  foreign_prompts: number;
  comfyui_version: string | null;
  gpu: string | null;
  vram_total_bytes: number | null;
  vram_free_bytes: number | null;
  inventory_key: string | null;
  /** JSON list of the model files that it most likely has in memory. */
  loaded_models: string;
  /** ComfyUI client id of its socket, kept so that a successor hears the prompts that run. */
  client_id: string | null;
  removed_at: number | null;
  created_at: number;
  updated_at: number;
}

/** Node types and model files read from an instance; equal instances share one row. */
export interface InventoriesTable {
  inventory_key: string;
  node_types: string;
  models: string;
  /** JSON: what each input offers; null in rows of older versions. */
  inputs: string | null;
}

/** What somebody asks the leader to do with an instance; done once `done_at` is set, and kept a while. */
export interface WishesTable {
  id: string;
  instance_id: string;
  kind: WishKind;
  asked_at: number;
  done_at: number | null;
  /** Why it could not be done, one line; null when it was. */
  error: string | null;
}

/** One row per lease; `term` grows with each new holder and fences what an older one writes. */
export interface LeasesTable {
  name: string;
  holder: string;
  term: number;
  expires_at: number;
}

export interface SettingsTable {
  name: string;
  value: string;
}

/** Facts that no rollup has yet; see domain/metric-fact.ts. */
export interface MetricOutboxTable {
  id: string;
  kind: MetricFactKind;
  at: number;
  tenant: string;
  workflow: string;
  instance_id: string | null;
  status: string | null;
  code: string | null;
  message: string | null;
  ms: number | null;
  counted: Flag;
}

/** What a measure's cells are told apart by; '' where they are not. */
export interface MetricSeriesTable {
  id: number;
  measure: Measure;
  cut: Cut;
  instance: string;
  workflow: string;
  tenant: string;
  status: string;
  code: string;
}

/** A cell of a series: the bucket of `width_ms` that begins at `bucket`, epoch ms. */
export interface MetricRollupsTable {
  series_id: number;
  width_ms: Width;
  bucket: number;
  count: number;
  sum: number;
  min: number | null;
  max: number | null;
  last: number | null;
  last_at: number | null;
  /** Numbers separated by commas: bin, count, bin, count. */
  bins: string;
}

/** GPU time of a day (its beginning in UTC, epoch ms). */
export interface MetricUsageTable {
  day: number;
  tenant: string;
  workflow: string;
  /** That ended on this day. */
  jobs: number;
  /** Of every attempt. */
  gpu_ms: number;
  /** Of those that ended their jobs. */
  counted_gpu_ms: number;
}

/** The newest failure of a job of each kind; '' where no instance had it. */
export interface MetricFailuresTable {
  code: string;
  instance: string;
  workflow: string;
  last_at: number;
  last_message: string;
}

export interface Tables {
  jobs: JobsTable;
  job_graphs: JobGraphsTable;
  needs: NeedsTable;
  attempts: AttemptsTable;
  job_events: JobEventsTable;
  outputs: OutputsTable;
  uploads: UploadsTable;
  job_files: JobFilesTable;
  job_labels: JobLabelsTable;
  dropped_blobs: DroppedBlobsTable;
  blob_pins: BlobPinsTable;
  idempotency_keys: IdempotencyTable;
  instances: InstancesTable;
  inventories: InventoriesTable;
  wishes: WishesTable;
  leases: LeasesTable;
  settings: SettingsTable;
  metric_outbox: MetricOutboxTable;
  metric_series: MetricSeriesTable;
  metric_rollups: MetricRollupsTable;
  metric_usage: MetricUsageTable;
  metric_failures: MetricFailuresTable;
}
