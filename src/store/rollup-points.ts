/**
 * The cells of rollups, merged into the points of a graph. One statement reads buckets of several widths, and the database
 * puts histograms one behind the other: what is left to do here is to count them.
 */
import { type Expression, type RawBuilder, type SqlBool, sql } from 'kysely';
import type { Bins, Cell } from '../domain/metric-cell.ts';
import type { Cut, Dimension, Measure, MetricKey, Width } from '../domain/metric-measure.ts';
import { isPostgres } from './engine-sql.ts';
import type { Db } from './open.ts';

/** Buckets of one width that follow each other. */
export interface Piece {
  readonly width: Width;
  /** Beginning of the first. */
  readonly from: number;
  /** End of the last. */
  readonly to: number;
}

export interface PointsQuery {
  readonly measure: Measure;
  readonly cut: Cut;
  /** One at least; none overlaps another. */
  readonly pieces: readonly Piece[];
  /** Width of a point, a multiple of the width of every piece; null: everything is one point, at 0. */
  readonly pointMs: number | null;
  /** By what points are told apart; the cut must know it. */
  readonly by: readonly Dimension[];
  /** Only series with one of these values. */
  readonly where?: Readonly<Partial<Record<Dimension, readonly string[]>>> | undefined;
  /** Reads histograms too, for quantiles. */
  readonly bins?: boolean | undefined;
  /** Reads the newest values too. */
  readonly last?: boolean | undefined;
}

export interface RollupPoint {
  /** Beginning of the point, epoch ms; 0 where everything is one. */
  readonly at: number;
  readonly key: MetricKey;
  readonly cell: Cell;
}

/** One for each point and key, in no order; what holds nothing is absent. */
export async function readPoints(db: Db, query: PointsQuery): Promise<RollupPoint[]> {
  const { measure, cut, pieces, pointMs, by, where = {}, bins = false, last = false } = query;
  const point = pointMs === null ? sql<number>`0` : sql<number>`(r.bucket - r.bucket % ${pointMs})`;
  const conditions = Object.entries(where).flatMap(([dimension, values]) =>
    values === undefined ? [] : [isOneOf(dimension as Dimension, values)],
  );
  const columns = by.map((dimension) => sql.ref(`s.${dimension}`));
  const { rows } = await sql<PointRow>`
    select ${point} as at, sum(r.count) as count, sum(r.sum) as sum, min(r.min) as min, max(r.max) as max
      ${bins ? sql`, string_agg(nullif(r.bins, ''), ',') as bins` : sql``}
      ${last ? sql`, string_agg(cast(r.last_at as text) || ',' || cast(r.last as text), ',') as lasts` : sql``}
      ${columns.length > 0 ? sql`, ${sql.join(columns)}` : sql``}
    from ${placesOf(pieces)} p cross join metric_series s cross join ${cellsOf(db)}
      and s.measure = ${measure} and s.cut = ${cut}
      ${conditions.length > 0 ? sql`and ${sql.join(conditions, sql` and `)}` : sql``}
    group by ${sql.join([sql.ref('at'), ...columns])}`.execute(db);
  return rows.map((row) => ({ at: Number(row.at), key: keyOf(row, by), cell: cellOfPoint(row) }));
}

/** The instances of which a measure has anything, by their ids; stops at the first cell of each. */
export async function instancesIn(db: Db, measure: Measure, pieces: readonly Piece[]): Promise<string[]> {
  const { rows } = await sql<{ readonly instance: string }>`
    select s.instance from metric_series s where s.measure = ${measure} and s.cut = ${'instance' satisfies Cut}
      and exists (select 1 from ${placesOf(pieces)} p cross join ${cellsOf(db)})`.execute(db);
  return rows.map(({ instance }) => instance);
}

function placesOf(pieces: readonly Piece[]): RawBuilder<unknown> {
  const places = pieces.map(
    ({ width, from, to }) => sql`(cast(${width} as bigint), cast(${from} as bigint), cast(${to} as bigint))`,
  );
  return sql`(values ${sql.join(places)})`;
}

/**
 * The cells of a series in a piece, found with one step in their key. SQLite takes cross joins in the order in which they
 * stand. Postgres would rather read the cells of every series of the time: it is not told what they are joined with.
 */
function cellsOf(db: Db): RawBuilder<unknown> {
  const cells = sql`metric_rollups r
    where r.series_id = s.id and r.width_ms = p.column1 and r.bucket >= p.column2 and r.bucket < p.column3`;
  return isPostgres(db) ? sql`lateral (select r.* from ${cells} offset 0) r where 1 = 1` : cells;
}

interface PointRow extends Partial<Record<Dimension, string>> {
  readonly at: number;
  readonly count: number | string;
  readonly sum: number;
  readonly min: number | null;
  readonly max: number | null;
  readonly bins?: string | null;
  readonly lasts?: string | null;
}

function isOneOf(dimension: Dimension, values: readonly string[]): Expression<SqlBool> {
  if (values.length === 0) return sql<SqlBool>`1 = 0`;
  return sql<SqlBool>`${sql.ref(`s.${dimension}`)} in (${sql.join(values)})`;
}

function keyOf(row: PointRow, by: readonly Dimension[]): MetricKey {
  return Object.fromEntries(by.map((dimension) => [dimension, row[dimension] ?? '']));
}

function cellOfPoint({ count, sum: total, min, max, bins, lasts }: PointRow): Cell {
  const [lastAt, last] = newest(lasts ?? '');
  return { count: Number(count), sum: Number(total), min, max, last, lastAt, bins: binsOf(bins ?? '') };
}

function newest(lasts: string): [at: number | null, value: number | null] {
  const numbers = lasts === '' ? [] : lasts.split(',').map(Number);
  let [at, value]: [number | null, number | null] = [null, null];
  for (let n = 0; n < numbers.length; n += 2)
    if (at === null || (numbers[n] as number) >= at)
      [at, value] = [numbers[n] as number, numbers[n + 1] as number];
  return [at, value];
}

const COMMA = 44;
const MINUS = 45;
const ZERO = 48;

/** Each bin once. The text of a year has hundreds of thousands of numbers, all whole: read in one go, without a part of it. */
function binsOf(text: string): Bins {
  const counts = new Map<number, number>();
  let bin: number | null = null;
  let [number, sign] = [0, 1];
  for (let n = 0; n <= text.length && text !== ''; n++) {
    const char = n === text.length ? COMMA : text.charCodeAt(n);
    if (char === MINUS) sign = -1;
    else if (char !== COMMA) number = number * 10 + char - ZERO;
    else {
      if (bin === null) bin = sign * number;
      else {
        counts.set(bin, (counts.get(bin) ?? 0) + number);
        bin = null;
      }
      [number, sign] = [0, 1];
    }
  }
  return [...counts].flat();
}
