/** The fleet as the planner sees it at one moment. */
import type { Fleet } from '../fleet/fleet.ts';
import type { Candidate } from './candidate.ts';
import type { Runs } from './runs.ts';

export function snapshotOf(fleet: Fleet, runs: Runs): Candidate[] {
  return fleet.instances().map(({ instance, answering, inventory }) => ({
    id: instance.id,
    capacity: instance.capacity,
    takenSlots: runs.takenSlots(instance.id),
    foreignPrompts: instance.foreignPrompts,
    health: instance.health,
    answering,
    draining: instance.draining,
    inventory,
    loadedModels: [],
  }));
}
