/** Whether a run found its models in memory, by how long it took; null where that does not tell. Pure. */
import type { Estimates } from '../planning/estimates.ts';
import type { Expectation } from './expectation.ts';
import type { Warmth } from './run-estimates.ts';

/** Of the run time: loading that takes less cannot be told from noise. */
const LEAST_LOAD = 0.25;
/** Where only runs of one kind are known, one that takes so many times as long, or as short, is of the other kind. */
const CLEARLY = 1.7;

export function warmthOf(expectation: Expectation, runMs: number, estimates: Estimates): Warmth | null {
  const { models, depth, instanceId } = expectation;
  // it ran right after its like, or none of its like ran there before
  if (models?.length === 0 || depth === 1) return 'warm';
  if (depth === null) return 'cold';
  const usual = estimates.runMs(expectation, instanceId);
  if (usual === null) return null;
  const load = estimates.loadMs(expectation, instanceId);
  if (load === null) {
    if (runMs > usual * CLEARLY) return 'cold';
    return runMs < usual / CLEARLY ? 'warm' : null;
  }
  if (load < usual * LEAST_LOAD) return null;
  return runMs < Math.sqrt(usual * (usual + load)) ? 'warm' : 'cold';
}
