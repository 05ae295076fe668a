/** Jobs and instances of the simulation as the planner sees such. */
import type { Inventory } from '../../../src/domain/capabilities.ts';
import type { Candidate } from '../../../src/scheduler/planning/candidate.ts';
import type { PendingJob } from '../../../src/store/jobs.ts';
import type { Job } from '../world.ts';

export function pendingJob({ id, tenant, priority, workflow, model, at }: Job): PendingJob {
  return {
    id,
    tenant,
    priority,
    workflow,
    needsKey: model,
    createdAt: at,
    seq: 1,
    notBefore: 0,
    deadlineAt: null,
    timeoutMs: 600_000,
    attemptCount: 0,
    chargedAttempts: 0,
    crashes: 0,
    maxAttempts: 3,
    lastInstanceId: null,
    fileCount: 0,
  };
}

/** Every instance has every model. */
const NOT_READ: Inventory | null = null;

/** Up and idle, with nothing loaded. */
export function newCandidate(id: string): Candidate {
  return {
    id,
    name: id,
    capacity: 1,
    takenSlots: [],
    endsAt: [],
    overdue: false,
    foreignPrompts: 0,
    health: 'HEALTHY',
    answering: true,
    starting: false,
    draining: false,
    breaker: 'CLOSED',
    stuck: false,
    isolated: false,
    resting: false,
    stale: false,
    slowStart: false,
    vramBytes: null,
    inventory: NOT_READ,
    loadedModels: [],
  };
}
