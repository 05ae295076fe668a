/** The fleet as the planner sees it at one moment. */
import type { Fleet } from '../fleet/fleet.ts';
import type { Comebacks } from './comebacks.ts';
import { type Candidate, isUp } from './planning/candidate.ts';
import type { ActiveRun } from './runs/active-run.ts';
import type { Runs } from './runs/runs.ts';

export interface Moment {
  /** Epoch ms. */
  readonly now: number;
  /** Monotonic ms. */
  readonly tick: number;
}

export function snapshotOf(
  fleet: Fleet,
  runs: Runs,
  comebacks: Comebacks,
  { now, tick }: Moment,
): Candidate[] {
  const candidates = fleet
    .instances()
    .map(({ instance, answering, starting, stale, slowStart, inventory, breaker }): Candidate => {
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
        endsAt: endsOf(present, now),
        overdue: present.some((run) => run.isOverdue),
        stale,
        slowStart,
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

/** ComfyUI works on one prompt after the other, those that began first. */
function endsOf(runs: readonly ActiveRun[], now: number): (number | null)[] {
  let free: number | null = now;
  return runs.map(({ restMs }) => {
    free = free === null || restMs === null ? null : free + restMs;
    return free;
  });
}
