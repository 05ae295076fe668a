/** Jobs and instances of the simulation as the planner sees such. */
import type { Candidate } from '../../../src/scheduler/planning/candidate.ts';
import type { PendingJob } from '../../../src/store/jobs.ts';
import { candidate } from '../../../test/scheduler/planning/candidate.ts';
import { pendingJob as waitingJob } from '../../../test/scheduler/planning/pending-job.ts';
import type { Job } from '../world.ts';

export function pendingJob({ id, tenant, priority, workflow, model, at }: Job): PendingJob {
  return waitingJob({ id, tenant, priority, workflow, needsKey: model, createdAt: at, timeoutMs: 600_000 });
}

/** Up and idle, with nothing loaded; its lists are not read, so it may have every model. */
export function newCandidate(id: string): Candidate {
  return candidate({ id });
}
