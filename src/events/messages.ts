/**
 * What travels on the bus: plain JSON data, so that every wire carries it unchanged. A message says that something
 * changed; what must not be lost is a row, and the reader looks it up there.
 */
import type { DurableEvent, LiveEvent } from '../domain/job-event.ts';

export type JobChange =
  /** The row changed: re-read it. */
  { readonly type: 'durable'; readonly event: DurableEvent } | LiveEvent | { readonly type: 'deleted' };

export interface JobMessage {
  readonly kind: 'job';
  readonly jobId: string;
  readonly tenant: string;
  /** Cursor of the job's newest durable event; of this very event when the change is durable. */
  readonly seq: number;
  /** Epoch ms. */
  readonly at: number;
  readonly change: JobChange;
}

/** A job message that announces a picture; its bytes are kept by the bus beside it. */
export interface PreviewMessage extends JobMessage {
  readonly change: Extract<LiveEvent, { type: 'preview' }>;
}

/** One instance changed: re-read it. */
export interface InstanceMessage {
  readonly kind: 'instance';
  readonly instanceId: string;
  readonly at: number;
}

/** The queue as a whole changed: re-read its figures. */
export interface QueueMessage {
  readonly kind: 'queue';
  readonly at: number;
}

export type Hint = 'job-queued' | 'cancel-asked' | 'job-deleted' | 'instances-changed' | 'leader-left';

/** A wake-up call for the scheduler. It may be lost: loops also look at the rows. */
export interface HintMessage {
  readonly kind: 'hint';
  readonly hint: Hint;
  readonly jobId: string | null;
}

export type BusMessage = JobMessage | InstanceMessage | QueueMessage | HintMessage;
