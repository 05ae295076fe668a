/**
 * The one writer of job state. Each method is one transaction: a guarded write that obeys domain/job-states.ts, with the
 * row of its durable event; after the commit the bus is told. A method that finds the world moved on answers null or
 * false (or says what it found) and has written nothing.
 */
import type { Output } from '../domain/output.ts';
import type { Viewer } from '../domain/viewer.ts';
import { createAnnouncer } from './announce.ts';
import { type AttemptWriter, createAttemptWriter } from './attempt-writer.ts';
import type { QueueLimits } from './insert-job.ts';
import { createJobWriter, type JobWriter } from './job-writer.ts';
import type { RecorderParts } from './job-writes.ts';
import { createOutputWriter, type NewOutput } from './output-writer.ts';
import { createQueueWriter, type IdempotencyRequest, type NewJob, type QueueResult } from './queue-writer.ts';

export interface Recorder extends AttemptWriter, JobWriter {
  /** Takes a job in, once per idempotency key; event queued. */
  queue(
    viewer: Viewer,
    job: NewJob,
    idempotency?: IdempotencyRequest,
    limits?: QueueLimits,
  ): Promise<QueueResult>;
  /** Takes in a provisional output of a running attempt; event output, once per (attempt, node, ordinal). */
  output(attemptId: string, term: number, output: NewOutput): Promise<Output | null>;
}

export function createRecorder(parts: RecorderParts): Recorder {
  const announcer = createAnnouncer(parts.bus, parts.logger);
  return {
    queue: createQueueWriter(parts, announcer),
    ...createAttemptWriter(parts, announcer),
    output: createOutputWriter(parts, announcer),
    ...createJobWriter(parts, announcer),
  };
}
