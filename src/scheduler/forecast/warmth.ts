/** Whether a run found its models in memory, by what was thought of it and by how long it took. Pure. */
import type { Estimates } from '../planning/estimates.ts';
import type { Expectation } from './expectation.ts';
import type { Warmth } from './run-estimates.ts';

/** Of the run time: loading that takes less cannot be told from noise. */
const LEAST_LOAD = 0.25;
/** Where only runs of one kind are known, one that takes so many times as long, or as short, is of the other kind. */
const CLEARLY = 1.7;

export function warmthOf(expectation: Expectation, runMs: number, estimates: Estimates): Warmth {
  const { models, depth, warmth, instanceId } = expectation;
  // it ran right after its like, or none of its like ran there before
  if (models?.length === 0 || depth === 1) return 'warm';
  if (depth === null) return 'cold';
  const usual = estimates.runMs(expectation, instanceId);
  if (usual === null) return warmth;
  const load = estimates.loadMs(expectation, instanceId);
  if (load === null) {
    if (runMs > usual * CLEARLY) return 'cold';
    return runMs < usual / CLEARLY ? 'warm' : warmth;
  }
  if (load < usual * LEAST_LOAD) return warmth;
  return runMs < Math.sqrt(usual * (usual + load)) ? 'warm' : 'cold';
}
