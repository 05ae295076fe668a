/**
 * How wide the points of a graph are: round times, so that they begin where clocks say so and stay where they are while a
 * dashboard moves on, and no more of them than were asked for.
 */
import { ALL_TIME, WIDTHS, type Width } from '../../domain/metric-measure.ts';
import type { Piece } from '../../store/rollup-points.ts';
import { coverage, finestAt, type TimeRange } from '../window.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** Each is a multiple of the stored width below it. */
const ROUND_TIMES = [
  ...[10_000, 20_000, 30_000],
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE_MS),
  ...[1, 2, 3, 6, 12].map((hours) => hours * HOUR_MS),
  ...[1, 2, 7, 14].map((days) => days * DAY_MS),
  // 28 days, twice as much, and so on: at last all time since 1970 is one point
  ...Array.from({ length: 11 }, (_, n) => 28 * DAY_MS * 2 ** n),
];
/** Finest first. */
export const GRAPH_WIDTHS = WIDTHS.filter((width) => width !== ALL_TIME);
const WIDEST = ROUND_TIMES.at(-1) as number;

/** The points of a graph. */
export interface Grid {
  readonly intervalMs: number;
  /** Beginning of the first point. */
  readonly from: number;
  /** End of the last one. */
  readonly to: number;
}

export interface GridWish {
  /** Rounded up to a round time; null: as many points as allowed. */
  readonly intervalMs: number | null;
  /** Of each series at most. */
  readonly points: number;
}

/** The finest grid that is no finer than what is wished, and than what is kept at `from`. Nothing is before 1970. */
export function gridOf(range: TimeRange, { intervalMs, points }: GridWish): Grid {
  const finest = Math.max(finestAt(range.from, range.now, range.retentionMs), intervalMs ?? 0);
  for (const each of ROUND_TIMES) {
    const grid = gridOfWidth(range, each);
    if (each >= finest && countOfPoints(grid) <= points) return grid;
  }
  return gridOfWidth(range, WIDEST);
}

function gridOfWidth({ from, to, now }: TimeRange, intervalMs: number): Grid {
  const first = Math.max(0, from);
  const end = Math.max(first + 1, Math.min(to, now));
  return {
    intervalMs,
    from: Math.floor(first / intervalMs) * intervalMs,
    to: Math.ceil(end / intervalMs) * intervalMs,
  };
}

export function countOfPoints({ intervalMs, from, to }: Grid): number {
  return (to - from) / intervalMs;
}

/** The widest stored buckets that a point is made of. */
export function widthOf({ intervalMs }: Grid): Width {
  return GRAPH_WIDTHS.findLast((width) => intervalMs % width === 0) as Width;
}

/** Of each series so many are read. */
export function bucketsOf(range: TimeRange, grid: Grid): number {
  return piecesOf(range, grid).reduce((sum, { width, from, to }) => sum + (to - from) / width, 0);
}

/** What is read for the points. */
export function piecesOf(range: TimeRange, { intervalMs, from, to }: Grid): Piece[] {
  return coverage({ ...range, from, to }, intervalMs);
}
