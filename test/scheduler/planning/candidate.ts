/** Instances as the planner sees them, with only what matters named. */
import type { Candidate } from '../../../src/scheduler/planning/candidate.ts';

/** Healthy, empty, with one place, and its lists not read. */
export function candidate(fields: Partial<Candidate> = {}): Candidate {
  return {
    id: 'a',
    name: fields.id ?? 'a',
    capacity: 1,
    takenSlots: [],
    foreignPrompts: 0,
    health: 'HEALTHY',
    answering: true,
    starting: false,
    draining: false,
    breaker: 'CLOSED',
    stuck: false,
    isolated: false,
    resting: false,
    endsAt: [],
    overdue: false,
    stale: false,
    slowStart: false,
    vramBytes: null,
    inventory: null,
    loadedModels: [],
    ...fields,
  };
}
