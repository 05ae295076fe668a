/** The number that a cell comes to as a statistic of a figure. */
import { type Cell, quantile } from '../../domain/metric-cell.ts';
import { type Figure, type MetricStat, shareOf } from './figures.ts';

/** A rate over less than this says nothing yet. */
const SHORTEST_MS = 1000;

/** `passedMs`: so much of the cell's time is over. Null for no values. */
export function figureValue(
  kind: Exclude<Figure['kind'], 'busy'>,
  stat: MetricStat,
  cell: Cell,
  passedMs: number,
): number | null {
  if (cell.count === 0) return null;
  const share = shareOf(stat);
  if (share !== null) return quantile(cell, share);
  switch (stat) {
    case 'SUM':
      return totalOf(kind, cell);
    case 'RATE':
      return totalOf(kind, cell) / (Math.max(SHORTEST_MS, passedMs) / 1000);
    case 'AVG':
      return cell.sum / cell.count;
    case 'MIN':
      return cell.min;
    case 'MAX':
      return cell.max;
    default:
      return cell.last;
  }
}

/** Times on instances are stored in ms and shown in seconds. */
function totalOf(kind: Exclude<Figure['kind'], 'busy'>, { count, sum }: Cell): number {
  return kind === 'count' ? count : kind === 'total' ? sum / 1000 : sum;
}
