/**
 * What is known of many values in one place: count, sum, extremes, the last one, and a histogram. Two cells merge into what
 * one cell of all their values would be, so quantiles stay right across instances and times; averages are never averaged.
 *
 * Bins grow by a sixteenth of an octave (4.4 %), and every power of two of seconds is an edge, for values in milliseconds:
 * so the bounds that Prometheus is told are exact. A list of bins is flat, [bin, count, bin, count, ...], in any order and
 * with repetitions: two lists merge by being put one behind the other, which SQL can do.
 */

/** [bin, count, bin, count, ...] */
export type Bins = readonly number[];

export interface Cell {
  readonly count: number;
  readonly sum: number;
  /** Null for no values. */
  readonly min: number | null;
  readonly max: number | null;
  /** The newest value, and when it was taken (epoch ms); null where that does not matter. */
  readonly last: number | null;
  readonly lastAt: number | null;
  readonly bins: Bins;
}

export const EMPTY_CELL: Cell = {
  count: 0,
  sum: 0,
  min: null,
  max: null,
  last: null,
  lastAt: null,
  bins: [],
};

const BINS_PER_OCTAVE = 16;
/** Of values that are zero or less; lower than every other. */
const ZERO_BIN = -100_000;
const UNIT = 1000;

/** The bin of a value: the lowest whose upper edge is not below it. */
export function binOf(value: number): number {
  return value <= 0 ? ZERO_BIN : Math.ceil(Math.log2(value / UNIT) * BINS_PER_OCTAVE - 1e-9);
}

/** The largest value of a bin. */
export function upperEdge(bin: number): number {
  return bin === ZERO_BIN ? 0 : 2 ** (bin / BINS_PER_OCTAVE) * UNIT;
}

function lowerEdge(bin: number): number {
  return bin === ZERO_BIN ? 0 : upperEdge(bin - 1);
}

/** A cell of one value. */
export function cellOf(value: number, at: number | null = null): Cell {
  const last = at === null ? null : value;
  return { count: 1, sum: value, min: value, max: value, last, lastAt: at, bins: [binOf(value), 1] };
}

/** A cell that only counts. */
export function countOf(count: number): Cell {
  return { ...EMPTY_CELL, count };
}

/** A cell that only sums up. */
export function sumOf(sum: number): Cell {
  return { ...EMPTY_CELL, count: 1, sum };
}

export function mergeCells(a: Cell, b: Cell): Cell {
  const later = (b.lastAt ?? Number.NEGATIVE_INFINITY) >= (a.lastAt ?? Number.NEGATIVE_INFINITY) ? b : a;
  return {
    count: a.count + b.count,
    sum: a.sum + b.sum,
    min: least(a.min, b.min, Math.min),
    max: least(a.max, b.max, Math.max),
    last: later.last,
    lastAt: later.lastAt,
    bins: a.bins.length === 0 ? b.bins : b.bins.length === 0 ? a.bins : [...a.bins, ...b.bins],
  };
}

function least(a: number | null, b: number | null, of: (a: number, b: number) => number): number | null {
  return a === null ? b : b === null ? a : of(a, b);
}

/** Each bin once, lowest first. */
export function compact(bins: Bins): Bins {
  return sorted(bins).flat();
}

function sorted(bins: Bins): [bin: number, count: number][] {
  const counts = new Map<number, number>();
  for (let n = 0; n < bins.length; n += 2) {
    const bin = bins[n] as number;
    counts.set(bin, (counts.get(bin) ?? 0) + (bins[n + 1] as number));
  }
  return [...counts].sort(([a], [b]) => a - b);
}

/**
 * The value that the share `q` (0 to 1) of the values does not exceed, within the width of its bin; null for no values.
 * The values of a bin count as spread evenly over it.
 */
export function quantile({ bins, min, max }: Cell, q: number): number | null {
  const counts = sorted(bins);
  const total = counts.reduce((sum, [, count]) => sum + count, 0);
  if (total === 0) return null;
  const rank = Math.max(1, Math.ceil(q * total));
  let below = 0;
  for (const [bin, count] of counts) {
    if (below + count >= rank) {
      const value = lowerEdge(bin) + ((upperEdge(bin) - lowerEdge(bin)) * (rank - below)) / count;
      return Math.min(max ?? value, Math.max(min ?? value, value));
    }
    below += count;
  }
  return max;
}

/** How many of the values are at most `value`, for a `value` that is an edge of bins: exact then. */
export function countUpTo(bins: Bins, value: number): number {
  const highest = binOf(value);
  return sorted(bins).reduce((sum, [bin, count]) => (bin <= highest ? sum + count : sum), 0);
}
