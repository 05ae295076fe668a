/** How many jobs ended well and how many did not, of counts by status. Pure. */
import type { JobStatus } from '../domain/job.ts';
import type { Dimension } from '../domain/metric-measure.ts';
import { grouped } from '../store/grouped.ts';
import type { RollupPoint } from '../store/rollup-points.ts';

export interface Outcomes {
  readonly completed: number;
  readonly failed: number;
}

export const NO_OUTCOMES: Outcomes = { completed: 0, failed: 0 };

/** Points of `ended`, told apart by status at least. */
type Ended = readonly Pick<RollupPoint, 'key' | 'cell'>[];

export function outcomesOf(ended: Ended): Outcomes {
  const count = (status: JobStatus): number =>
    ended.reduce((sum, { key, cell }) => (key.status === status ? sum + cell.count : sum), 0);
  return { completed: count('COMPLETED'), failed: count('FAILED') };
}

/** By a dimension that the points know too. */
export function outcomesBy(ended: Ended, dimension: Dimension): Map<string, Outcomes> {
  const parts = grouped(ended, ({ key }) => key[dimension] ?? '');
  return new Map([...parts].map(([part, points]) => [part, outcomesOf(points)]));
}

/** Share of those that ended well, 0 to 1; null without any. Canceled ones do not count. */
export function successRate({ completed, failed }: Outcomes): number | null {
  return completed + failed === 0 ? null : completed / (completed + failed);
}
