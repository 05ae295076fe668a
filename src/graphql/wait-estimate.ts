/** How long the queue will take, from recent run times and the places that work on it. Pure; null where nothing is known. */

export interface Throughput {
  /** Mean run time of jobs that ended lately, in ms; null without any. */
  readonly meanRunMs: number | null;
  /** Jobs that may run at once on instances that take work. */
  readonly capacity: number;
  /** Jobs that run now. */
  readonly running: number;
}

/** Expected wait of the job at `position` (from 1), in ms: the rounds before it, each as long as a mean run. */
export function estimateWaitMs(
  position: number,
  { meanRunMs, capacity, running }: Throughput,
): number | null {
  if (meanRunMs === null || capacity <= 0) return null;
  const free = Math.max(0, capacity - running);
  if (position <= free) return 0;
  return Math.round(((position - free) / capacity) * meanRunMs);
}

/** Expected time until nothing waits or runs, in ms. */
export function estimateDrainMs(
  pending: number,
  { meanRunMs, capacity, running }: Throughput,
): number | null {
  if (pending + running === 0) return 0;
  if (meanRunMs === null || capacity <= 0) return null;
  return Math.round(((pending + running) / capacity) * meanRunMs);
}
