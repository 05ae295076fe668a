/** One event of a job as the schema shows it: a row of the event table, or live news with the cursor of the row before it. */
import type { DurableEvent, LiveEvent } from '../domain/job-event.ts';
import type { Output } from '../domain/output.ts';
import { eventCursor } from './cursors.ts';

export interface JobEventView {
  readonly jobId: string;
  readonly cursor: string;
  /** Epoch ms. */
  readonly at: number;
  readonly event: DurableEvent | LiveEvent;
  /** Of an output event: what was made. An event whose output was withdrawn is not shown. */
  readonly output?: Output;
}

export function jobEventView(
  jobId: string,
  seq: number,
  at: number,
  event: DurableEvent | LiveEvent,
): JobEventView {
  return { jobId, cursor: eventCursor(seq), at, event };
}

/** The GraphQL type of each kind of event. */
export const EVENT_TYPES = {
  queued: 'JobQueued',
  started: 'JobStarted',
  output: 'OutputReady',
  retried: 'JobRetried',
  canceled: 'JobCanceled',
  finished: 'JobFinished',
  progress: 'JobProgressed',
  node: 'NodeStarted',
  cached: 'NodesCached',
  preview: 'PreviewReady',
  comfy: 'ComfyMessage',
} as const satisfies Record<(DurableEvent | LiveEvent)['type'], string>;

/** The last event of a job's life. */
export function isLast(event: DurableEvent): boolean {
  return event.type === 'finished' || event.type === 'canceled';
}
