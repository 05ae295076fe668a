/** Figures of all time: they only grow, so restarts and changes of the leader do not show. */

import type { Cell } from '../../domain/metric-cell.ts';
import type { MetricKey } from '../../domain/metric-measure.ts';
import { ALL_TIME } from '../../domain/metric-measure.ts';
import type { Db } from '../../store/open.ts';
import { type PointsQuery, readPoints } from '../../store/rollup-points.ts';
import { cutFor } from '../window.ts';

export interface Total {
  readonly key: MetricKey;
  readonly cell: Cell;
}

/** Told apart by `by`. */
export function allTime(
  db: Db,
  query: Pick<PointsQuery, 'measure' | 'by' | 'bins'> & { readonly status?: readonly string[] },
): Promise<Total[]> {
  const { measure, by, bins, status } = query;
  const cut = cutFor(measure, status ? [...by, 'status'] : by);
  return readPoints(db, {
    measure,
    by,
    bins,
    cut,
    where: status ? { status } : {},
    pieces: [{ width: ALL_TIME, from: 0, to: 1 }],
    pointMs: null,
  });
}
