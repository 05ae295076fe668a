/** Waiting jobs for tests, with only what matters named. */
import type { PendingJob } from '../../../src/store/jobs.ts';

export function pendingJob(fields: Partial<PendingJob> & { readonly id: string }): PendingJob {
  return {
    tenant: 'default',
    workflow: 'raw',
    seq: 1,
    priority: 5,
    needsKey: 'any',
    createdAt: 1000,
    notBefore: 0,
    deadlineAt: null,
    timeoutMs: 60_000,
    attemptCount: 0,
    chargedAttempts: 0,
    crashes: 0,
    maxAttempts: 3,
    lastInstanceId: null,
    fileCount: 0,
    pendingSince: 1000,
    trace: null,
    ...fields,
  };
}

/** The order among equal tenants: priority as submitted, then arrival. */
export function servedBefore(a: PendingJob, b: PendingJob): number {
  return b.priority - a.priority || a.createdAt - b.createdAt || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}
