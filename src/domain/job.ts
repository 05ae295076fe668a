/** A job: one piece of work a client submitted. The row is the truth; progress and previews travel beside it. */
import type { JsonObject } from '../lib/json.ts';
import type { Fault } from './fault.ts';

export const JOB_STATUSES = ['PENDING', 'PROCESSING', 'COMPLETED', 'FAILED', 'CANCELED'] as const;
export type JobStatus = (typeof JOB_STATUSES)[number];

export interface Job {
  readonly id: string;
  readonly tenant: string;
  readonly user: string | null;
  readonly status: JobStatus;
  /** Name of the workflow; `raw` for a graph submitted as is. */
  readonly workflow: string;
  /** As submitted, files by reference, never base64. */
  readonly inputs: JsonObject;
  /** 1 to 10; 10 is served first. */
  readonly priority: number;
  readonly labels: JsonObject;
  /** Names the class of needs (node types and models) the job belongs to; see capabilities.ts. */
  readonly needsKey: string;
  /** Longest run of one attempt, in ms. */
  readonly timeoutMs: number;
  /** Epoch ms after which a job that still waits fails; null for none. */
  readonly deadlineAt: number | null;
  readonly maxAttempts: number;
  /** Attempts made so far, whether they counted against maxAttempts or not; the newest attempt's number. */
  readonly attemptCount: number;
  /** Attempts that count against maxAttempts (an instance that forgot the job is not the job's fault). */
  readonly chargedAttempts: number;
  /** Attempts whose instance went down with them; see POISON in fault.ts. */
  readonly crashes: number;
  /** Not assigned before this moment (backoff after a failed attempt), epoch ms. */
  readonly notBefore: number;
  readonly retryOf: string | null;
  /** Where it runs or ran last. */
  readonly instanceId: string | null;
  /** Cursor of its newest durable event. */
  readonly seq: number;
  /** Set when FAILED. */
  readonly error: Fault | null;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  /** Time on the instance of the attempt that counted, in ms. */
  readonly runMs: number | null;
  /** W3C traceparent of the request that submitted it; null when that was not traced. */
  readonly trace: string | null;
}

export const ATTEMPT_STATES = [
  'SUBMITTING',
  'RUNNING',
  'COLLECTING',
  'SUCCEEDED',
  'FAILED',
  'CANCELED',
  'LOST',
] as const;
export type AttemptState = (typeof ATTEMPT_STATES)[number];

/** One try to run a job on one instance. Its id is ComfyUI's prompt_id, written before the prompt is posted. */
export interface Attempt {
  readonly id: string;
  readonly jobId: string;
  readonly tenant: string;
  readonly number: number;
  readonly instanceId: string;
  readonly instanceName: string;
  /** Which of the instance's parallel places it holds, from 0; one open attempt per (instance, slot). */
  readonly slot: number;
  /** The leader's term that last took charge of it; writes of an older term are refused. */
  readonly term: number;
  readonly state: AttemptState;
  /** Counts against the job's maxAttempts. */
  readonly charged: boolean;
  readonly error: Fault | null;
  readonly deadlineAt: number;
  readonly startedAt: number;
  /** When ComfyUI began to run it (execution_start seen), epoch ms. */
  readonly runningAt: number | null;
  readonly finishedAt: number | null;
  /** Time on the instance in ms, once it ended: 0 where it never ran there. Null while it has not ended. */
  readonly runMs: number | null;
}

/** How an attempt ended. */
export type AttemptOutcome = 'SUCCEEDED' | 'FAILED' | 'CANCELED' | 'LOST';

/** What is known live of a running job; never stored. */
export interface Progress {
  /** Finished and cached nodes plus the running node's share of steps, 0 to 1; never falls within one attempt. */
  readonly fraction: number;
  readonly node: string | null;
  readonly nodeType: string | null;
  readonly step: number | null;
  readonly totalSteps: number | null;
  readonly remainingMs: number | null;
}

/** The newest live preview picture of a running job; `revision` grows with each picture of the job. */
export interface Preview {
  readonly revision: number;
  readonly mimeType: string;
  readonly at: number;
}
