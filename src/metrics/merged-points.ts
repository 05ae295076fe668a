/** Points that are read part by part: each part goes into what is there at once, so that no more is held than is answered. */
import { compact, mergeCells } from '../domain/metric-cell.ts';
import type { RollupPoint } from '../store/rollup-points.ts';

export class MergedPoints {
  readonly #points = new Map<string, RollupPoint>();

  add(points: Iterable<RollupPoint>): void {
    for (const point of points) {
      const place = [point.at, ...Object.values(point.key)].join('\n');
      const known = this.#points.get(place);
      this.#points.set(place, known ? merged(known, point) : point);
    }
  }

  /** One for each time and key. */
  all(): RollupPoint[] {
    return [...this.#points.values()];
  }
}

function merged(known: RollupPoint, more: RollupPoint): RollupPoint {
  const cell = mergeCells(known.cell, more.cell);
  return { ...known, cell: { ...cell, bins: compact(cell.bins) } };
}
