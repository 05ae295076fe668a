/**
 * What may follow what. One pure table; jobs/recorder.ts is the one writer that obeys it.
 *
 *             ┌── retry after backoff, or forgotten ──┐
 *             ▼   by its instance                     │
 *  submit ─▶ PENDING ── assigned to an instance ─▶ PROCESSING ── outputs stored ─▶ COMPLETED
 *             │  │                                  │    │
 *             │  └────── cancel ───────┬────────────┘    └── attempts used up, or not retryable ─▶ FAILED
 *             │                        ▼
 *             │                    CANCELED
 *             └── deadline passed while waiting ─▶ FAILED (DEADLINE_EXCEEDED)
 *
 *  attempt: SUBMITTING ─▶ RUNNING ─▶ COLLECTING ─▶ SUCCEEDED
 *               └──────────┴────────────┴───────▶ FAILED | CANCELED | LOST
 */
import type { AttemptState, JobStatus } from './job.ts';

const JOB_NEXT: Readonly<Record<JobStatus, readonly JobStatus[]>> = {
  PENDING: ['PROCESSING', 'CANCELED', 'FAILED'],
  PROCESSING: ['COMPLETED', 'FAILED', 'CANCELED', 'PENDING'],
  COMPLETED: [],
  FAILED: [],
  CANCELED: [],
};

const ATTEMPT_NEXT: Readonly<Record<AttemptState, readonly AttemptState[]>> = {
  SUBMITTING: ['RUNNING', 'COLLECTING', 'FAILED', 'CANCELED', 'LOST'],
  RUNNING: ['COLLECTING', 'FAILED', 'CANCELED', 'LOST'],
  COLLECTING: ['SUCCEEDED', 'FAILED', 'CANCELED', 'LOST'],
  SUCCEEDED: [],
  FAILED: [],
  CANCELED: [],
  LOST: [],
};

/** Statuses that never change again. */
export const ENDED_JOB_STATUSES = ['COMPLETED', 'FAILED', 'CANCELED'] as const satisfies readonly JobStatus[];

/** Attempts that hold their instance's slot. */
export const OPEN_ATTEMPT_STATES = [
  'SUBMITTING',
  'RUNNING',
  'COLLECTING',
] as const satisfies readonly AttemptState[];

export function jobMayBecome(from: JobStatus, to: JobStatus): boolean {
  return JOB_NEXT[from].includes(to);
}

export function attemptMayBecome(from: AttemptState, to: AttemptState): boolean {
  return ATTEMPT_NEXT[from].includes(to);
}

export function hasEnded(status: JobStatus): boolean {
  return JOB_NEXT[status].length === 0;
}

/** The attempt states from which `to` may be reached: what a guarded UPDATE names in its WHERE. */
export function attemptStatesBefore(to: AttemptState): AttemptState[] {
  return (Object.keys(ATTEMPT_NEXT) as AttemptState[]).filter((from) => attemptMayBecome(from, to));
}

/** The job statuses from which `to` may be reached. */
export function jobStatusesBefore(to: JobStatus): JobStatus[] {
  return (Object.keys(JOB_NEXT) as JobStatus[]).filter((from) => jobMayBecome(from, to));
}
