/**
 * Figures of a time that need not begin or end with a bucket: covered by the finest buckets that are kept at its ends and by
 * the widest in between, so that a year is as exact as an hour and read from a few hundred rows.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { keptFrom } from '../domain/metric-kept.ts';
import {
  ALL_TIME,
  bucketOf,
  type Cut,
  cutsOf,
  type Dimension,
  dimensionsOf,
  type Measure,
  type MetricKey,
  WIDTHS,
  type Width,
} from '../domain/metric-measure.ts';
import { isPostgres } from '../store/engine-sql.ts';
import type { Db } from '../store/open.ts';
import { type Piece, type PointsQuery, type RollupPoint, readPoints } from '../store/rollup-points.ts';
import { countSeries } from '../store/rollup-series.ts';
import { MergedPoints } from './merged-points.ts';

/** A time to look at. */
export interface TimeRange {
  readonly from: number;
  readonly to: number;
  /** When it is looked at: nothing is later. */
  readonly now: number;
  /** METRICS_RETENTION_MS */
  readonly retentionMs: number;
}

/** Finest first, without the one of all time. */
const FINEST_FIRST = WIDTHS.filter((width) => width !== ALL_TIME);

/** The finest buckets that are kept of a moment; the widest where none are kept any more. */
export function finestAt(at: number, now: number, retentionMs: number): Width {
  return FINEST_FIRST.find((width) => at >= keptFrom(width, now, retentionMs)) ?? 86_400_000;
}

/**
 * Disjoint and ascending: from the bucket that holds `from` to the one that holds the last moment before `to`. Only such as
 * points of `pointMs` are made of, where that is given. What is not over yet is covered by the finest, since samples are
 * written to wider ones once these end.
 */
export function coverage({ from, to, now, retentionMs }: TimeRange, pointMs: number | null = null): Piece[] {
  const widths = FINEST_FIRST.filter((width) => pointMs === null || pointMs % width === 0);
  const first = Math.max(from, keptFrom(86_400_000, now, retentionMs));
  const last = Math.min(to, now + 1);
  if (first >= last) return [];
  const end = bucketEnd(finestAt(last - 1, now, retentionMs), last - 1);
  const pieces: Piece[] = [];
  for (let at = bucketOf(finestAt(first, now, retentionMs), first); at < end; ) {
    const finest = finestAt(at, now, retentionMs);
    const fits = (width: Width): boolean => at % width === 0 && at + width <= end && width >= finest;
    const width = widths.findLast(fits) ?? finest;
    const before = pieces.at(-1);
    if (before?.width === width) pieces[pieces.length - 1] = { ...before, to: at + width };
    else pieces.push({ width, from: at, to: at + width });
    at += width;
  }
  return pieces;
}

function bucketEnd(width: Width, at: number): number {
  return bucketOf(width, at) + width;
}

/** The way of keeping a measure that tells these apart and reads the fewest rows. */
export function cutFor(measure: Measure, needed: readonly Dimension[]): Cut {
  const knows = (cut: Cut): boolean =>
    needed.every((dimension) => dimensionsOf(measure, cut).includes(dimension));
  const cut = cutsOf(measure).find(knows);
  if (!cut) throw new Error(`${measure} is not told apart by ${needed.join(', ')}`);
  return cut;
}

export type WindowQuery = Omit<PointsQuery, 'cut' | 'pieces' | 'pointMs'>;

/** What was measured in a time, told apart as asked; what holds nothing is absent. */
export async function readWindow(
  db: Db,
  range: TimeRange,
  query: WindowQuery,
): Promise<Omit<RollupPoint, 'at'>[]> {
  return readPieces(db, { ...query, pieces: coverage(range), pointMs: null });
}

export interface PiecesQuery extends Omit<PointsQuery, 'cut'> {
  /** Of an instance by its id: those of one name count together. Absent: told apart by their ids. */
  readonly nameOf?: ((instanceId: string) => string) | undefined;
}

/** A statement reads so many cells, since an embedded store holds up everything else meanwhile: some ten milliseconds. */
const CELLS_A_STATEMENT = 6000;
/** A server reads them beside us; what it answers is few rows. */
const CELLS_OF_A_SERVER = 20_000;

/** Cells merged into points, in no order; what holds nothing is absent. Others get their turn after every statement. */
export async function readPieces(
  db: Db,
  { nameOf, ...query }: PiecesQuery,
  cellsAStatement = isPostgres(db) ? CELLS_OF_A_SERVER : CELLS_A_STATEMENT,
): Promise<RollupPoint[]> {
  const located = { ...query, cut: cutOf(query) };
  const { series } = await countSeries(db, located);
  if (series === 0) return [];
  const found = new MergedPoints();
  for (const pieces of statementsOf(query.pieces, Math.max(1, Math.floor(cellsAStatement / series)))) {
    const points = await readPoints(db, { ...located, pieces });
    found.add(nameOf ? points.map((point) => ({ ...point, key: named(point.key, nameOf) })) : points);
    await turn();
  }
  return found.all();
}

function named(key: MetricKey, nameOf: (instanceId: string) => string): MetricKey {
  return key.instance ? { ...key, instance: nameOf(key.instance) } : key;
}

/** Those that tell apart what a query asks for. */
export function cutOf({ measure, by, where = {} }: Pick<WindowQuery, 'measure' | 'by' | 'where'>): Cut {
  return cutFor(measure, [...by, ...(Object.keys(where) as Dimension[])]);
}

/** The pieces in parts of so many buckets. */
function* statementsOf(pieces: readonly Piece[], buckets: number): Generator<readonly Piece[]> {
  let some: Piece[] = [];
  let room = buckets;
  for (const { width, from, to } of pieces) {
    for (let at = from; at < to; ) {
      const end = Math.min(to, at + room * width);
      some.push({ width, from: at, to: end });
      room -= (end - at) / width;
      at = end;
      if (room > 0) continue;
      yield some;
      [some, room] = [[], buckets];
    }
  }
  if (some.length > 0) yield some;
}
