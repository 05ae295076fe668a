/** The cells of rollups: adding to them, and reading them merged into the points of a graph. */
import { type Expression, type SqlBool, sql } from 'kysely';
import { type Cell, compact, mergeCells } from '../domain/metric-cell.ts';
import {
  type Cut,
  type Dimension,
  METRIC_DIMENSIONS,
  type Measure,
  type MetricKey,
  type Width,
} from '../domain/metric-measure.ts';
import { lockKey } from './engine-sql.ts';
import type { Db } from './open.ts';
import type { MetricRollupsTable } from './schema.ts';

/** A series: cells of one measure and cut, told apart from others by its key. */
export interface SeriesName {
  readonly measure: Measure;
  readonly cut: Cut;
  readonly key: MetricKey;
}

/** What is to be added to the cell of a series in the bucket of `width` that begins at `bucket`. */
export interface Increment {
  readonly series: SeriesName;
  readonly width: Width;
  readonly bucket: number;
  readonly cell: Cell;
}

/** Equal for equal series. */
export function seriesText({ measure, cut, key }: SeriesName): string {
  return JSON.stringify([measure, cut, ...METRIC_DIMENSIONS.map((dimension) => key[dimension] ?? '')]);
}

const ROWS_A_STATEMENT = 100;

/** Until the transaction ends nobody else adds to rollups or begins a series, so what it reads of them stays true. */
export function lockRollups(tx: Db): Promise<void> {
  return lockKey(tx, 'metric-rollups');
}

/** Adds to the cells, in a transaction. Each cell once in the list. */
export async function addToRollups(tx: Db, increments: readonly Increment[]): Promise<void> {
  if (increments.length === 0) return;
  await lockRollups(tx);
  const ids = await seriesIds(
    tx,
    increments.map(({ series }) => series),
  );
  const located = increments.map((increment) => ({
    ...increment,
    id: ids.get(seriesText(increment.series)) as number,
  }));
  for (let from = 0; from < located.length; from += ROWS_A_STATEMENT)
    await addSome(tx, located.slice(from, from + ROWS_A_STATEMENT));
}

type Located = Increment & { readonly id: number };

async function addSome(tx: Db, some: readonly Located[]): Promise<void> {
  const places = some.map(
    ({ id, width, bucket }) =>
      sql`(cast(${id} as bigint), cast(${width} as bigint), cast(${bucket} as bigint))`,
  );
  const found = await tx
    .selectFrom('metric_rollups')
    .selectAll()
    .where(sql<SqlBool>`(series_id, width_ms, bucket) in (values ${sql.join(places)})`)
    .execute();
  const known = new Map(found.map((row) => [placeOf(row.series_id, row.width_ms, row.bucket), row]));
  const rows = some.map(({ id, width, bucket, cell }) => {
    const old = known.get(placeOf(id, width, bucket));
    return rowOf({ id, width, bucket }, old ? mergeCells(cellFromRow(old), cell) : cell);
  });
  await tx
    .insertInto('metric_rollups')
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(['series_id', 'width_ms', 'bucket']).doUpdateSet((eb) => ({
        count: eb.ref('excluded.count'),
        sum: eb.ref('excluded.sum'),
        min: eb.ref('excluded.min'),
        max: eb.ref('excluded.max'),
        last: eb.ref('excluded.last'),
        last_at: eb.ref('excluded.last_at'),
        bins: eb.ref('excluded.bins'),
      })),
    )
    .execute();
}

function placeOf(id: number, width: number, bucket: number): string {
  return `${id} ${width} ${bucket}`;
}

function rowOf(
  { id, width, bucket }: Pick<Located, 'id' | 'width' | 'bucket'>,
  cell: Cell,
): MetricRollupsTable {
  const { count, sum: total, min, max, last, lastAt: last_at, bins } = cell;
  const place = { series_id: id, width_ms: width, bucket };
  return { ...place, count, sum: total, min, max, last, last_at, bins: compact(bins).join(',') };
}

function cellFromRow(row: MetricRollupsTable): Cell {
  const { count, sum: total, min, max, last, last_at: lastAt } = row;
  return { count, sum: total, min, max, last, lastAt, bins: binsOf(row.bins) };
}

function binsOf(text: string): number[] {
  return text === '' ? [] : text.split(',').map(Number);
}

/** By their text; those that are new get one. */
async function seriesIds(tx: Db, wanted: readonly SeriesName[]): Promise<Map<string, number>> {
  const names = new Map(wanted.map((series) => [seriesText(series), series]));
  const ids = await knownIds(tx, [...names.values()]);
  const missing = [...names].filter(([text]) => !ids.has(text));
  if (missing.length === 0) return ids;
  const { highest } = await tx
    .selectFrom('metric_series')
    .select((eb) => eb.fn.coalesce(eb.fn.max('id'), sql<number>`0`).as('highest'))
    .executeTakeFirstOrThrow();
  let id = Number(highest);
  const rows = missing.map(([text, { measure, cut, key }]) => {
    ids.set(text, ++id);
    const { instance = '', workflow = '', tenant = '', status = '', code = '' } = key;
    return { id, measure, cut, instance, workflow, tenant, status, code };
  });
  for (let from = 0; from < rows.length; from += ROWS_A_STATEMENT)
    await tx
      .insertInto('metric_series')
      .values(rows.slice(from, from + ROWS_A_STATEMENT))
      .execute();
  return ids;
}

async function knownIds(tx: Db, names: readonly SeriesName[]): Promise<Map<string, number>> {
  const ids = new Map<string, number>();
  for (let from = 0; from < names.length; from += ROWS_A_STATEMENT) {
    const keys = names.slice(from, from + ROWS_A_STATEMENT).map(({ measure, cut, key }) => {
      const dimensions = METRIC_DIMENSIONS.map((dimension) => sql`${key[dimension] ?? ''}`);
      return sql`(${measure}, ${cut}, ${sql.join(dimensions)})`;
    });
    const rows = await tx
      .selectFrom('metric_series')
      .selectAll()
      .where(
        sql<SqlBool>`(measure, cut, instance, workflow, tenant, status, code) in (values ${sql.join(keys)})`,
      )
      .execute();
    for (const { id, measure, cut, ...key } of rows) ids.set(seriesText({ measure, cut, key }), id);
  }
  return ids;
}

export interface RollupQuery {
  readonly measure: Measure;
  readonly cut: Cut;
  readonly width: Width;
  /** Buckets that begin from here on... */
  readonly from: number;
  /** ...and before this, epoch ms. */
  readonly to: number;
  /** Width of a point, a multiple of `width`; null: the whole range is one point, at 0. */
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
  /** Beginning of the point, epoch ms; 0 where the range is one. */
  readonly at: number;
  readonly key: MetricKey;
  readonly cell: Cell;
}

/** Cells merged into points, in no order; what holds nothing is absent. */
export async function readRollups(db: Db, query: RollupQuery): Promise<RollupPoint[]> {
  const { measure, cut, width, from, to, pointMs, by, where = {}, bins = false, last = false } = query;
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
    from metric_series s join metric_rollups r on r.series_id = s.id
    where s.measure = ${measure} and s.cut = ${cut} and r.width_ms = ${width} and r.bucket >= ${from} and r.bucket < ${to}
      ${conditions.length > 0 ? sql`and ${sql.join(conditions, sql` and `)}` : sql``}
    group by ${sql.join([sql.ref('at'), ...columns])}`.execute(db);
  return rows.map((row) => ({ at: Number(row.at), key: keyOf(row, by), cell: cellOfPoint(row) }));
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
  const numbers = binsOf(lasts);
  let [at, value]: [number | null, number | null] = [null, null];
  for (let n = 0; n < numbers.length; n += 2)
    if (at === null || (numbers[n] as number) >= at)
      [at, value] = [numbers[n] as number, numbers[n + 1] as number];
  return [at, value];
}
