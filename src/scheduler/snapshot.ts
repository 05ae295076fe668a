/** The fleet as the planner sees it at one moment. */
import type { Fleet } from '../fleet/fleet.ts';
import { type Candidate, isUp } from './candidate.ts';
import type { Comebacks } from './comebacks.ts';
import type { Runs } from './runs.ts';

/** `tick` in monotonic ms. */
export function snapshotOf(fleet: Fleet, runs: Runs, comebacks: Comebacks, tick: number): Candidate[] {
  const candidates = fleet
    .instances()
    .map(({ instance, answering, starting, inventory, breaker }): Candidate => {
      const present = runs.ofInstance(instance.id);
      return {
        id: instance.id,
        name: instance.name,
        capacity: instance.capacity,
        takenSlots: present.map((run) => run.subject.attempt.slot),
        foreignPrompts: instance.foreignPrompts,
        health: instance.health,
        answering,
        starting,
        draining: instance.draining,
        breaker,
        stuck: present.some((run) => run.isStuck),
        isolated: present.some((run) => run.subject.job.crashes > 0),
        resting: false,
        endsAt: present.map(() => null),
        stale: false,
        slowStart: false,
        vramBytes: instance.vramTotalBytes,
        inventory,
        loadedModels: instance.loadedModels,
      };
    });
  comebacks.observe(
    candidates.filter(isUp).map((candidate) => candidate.id),
    tick,
  );
  return candidates.map((candidate) => ({
    ...candidate,
    resting: comebacks.isResting(candidate.id, tick),
  }));
}
