/** How many jobs the fleet can run at once. Pure. */
import type { Instance } from '../domain/instance.ts';

/** True when the instance may be given work now; one that is put aside or tested may not. */
function takesWork(instance: Instance): boolean {
  return (
    instance.removedAt === null &&
    !instance.draining &&
    instance.breaker === 'CLOSED' &&
    (instance.health === 'HEALTHY' || instance.health === 'DEGRADED')
  );
}

/** Places on instances that take work, under the global limit (null for none). */
export function fleetCapacity(instances: readonly Instance[], maxConcurrentJobs: number | null): number {
  const places = instances.filter(takesWork).reduce((sum, instance) => sum + instance.capacity, 0);
  return maxConcurrentJobs === null ? places : Math.min(places, maxConcurrentJobs);
}
