/** What jobs are expected to take, as the planner and the forecast ask for it. Learnt in run-estimates.ts. */

/** Jobs that take about as long: of one workflow, with the same node types and models. */
export interface Work {
  readonly workflow: string;
  readonly needsKey: string;
}

export interface Estimates {
  /** Time on the instance with its models in memory, in ms; null while nothing is known. No instance: on an average one. */
  runMs(work: Work, instanceId?: string): number | null;
  /** What it takes longer there when its models must be loaded first, in ms; null while nothing is known. */
  loadMs(work: Work, instanceId?: string): number | null;
}

/** Nothing is known. */
export const NO_ESTIMATES: Estimates = { runMs: () => null, loadMs: () => null };
