/**
 * What happens to a job. Durable events are rows, written in the transaction of the state change and numbered per job
 * (`seq`, the subscription's cursor). Live messages travel on the bus only and carry the seq of the durable one before.
 */
import type { Json } from '../lib/json.ts';
import type { JobStatus, Preview, Progress } from './job.ts';

export type DurableEvent =
  | { readonly type: 'queued' }
  | { readonly type: 'started'; readonly attemptId: string }
  | { readonly type: 'output'; readonly outputId: string }
  | { readonly type: 'retried'; readonly attemptId: string; readonly delayMs: number }
  | { readonly type: 'canceled' }
  | { readonly type: 'finished'; readonly status: JobStatus };

export type DurableEventType = DurableEvent['type'];

/** A durable event as it stands in `job_events`. */
export interface JobEventRow {
  readonly jobId: string;
  readonly tenant: string;
  readonly seq: number;
  readonly at: number;
  readonly event: DurableEvent;
}

export type LiveEvent =
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'node'; readonly node: string; readonly nodeType: string | null }
  | { readonly type: 'cached'; readonly nodes: readonly string[] }
  | { readonly type: 'preview'; readonly preview: Preview }
  | { readonly type: 'comfy'; readonly messageType: string; readonly data: Json };
