/** Adding to the cells of rollups. */
import { sql } from 'kysely';
import { type Bins, type Cell, compact } from '../domain/metric-cell.ts';
import {
  type Cut,
  METRIC_DIMENSIONS,
  type Measure,
  type MetricKey,
  type Width,
} from '../domain/metric-measure.ts';
import { lockKey, rowsTable } from './engine-sql.ts';
import type { Db } from './open.ts';
import type { MetricRollupsTable, MetricSeriesTable } from './schema.ts';

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
  const located = increments.map(({ series, width, bucket, cell }) => {
    const place = { series_id: ids.get(seriesText(series)) as number, width_ms: width, bucket };
    return { place, cell };
  });
  const known = await knownBins(
    tx,
    located.filter(({ cell }) => cell.bins.length > 0).map(({ place }) => place),
  );
  await addRows(
    tx,
    located.map(({ place, cell }) => rowOf(place, cell, known.get(placeOf(place)) ?? [])),
  );
}

type Place = Pick<MetricRollupsTable, 'series_id' | 'width_ms' | 'bucket'>;

function placeOf({ series_id, width_ms, bucket }: Place): string {
  return `${series_id} ${width_ms} ${bucket}`;
}

/** Bins are the one thing that SQL does not add up: with those of the cell as it is they are all that it then has. */
function rowOf(place: Place, cell: Cell, known: Bins): MetricRollupsTable {
  const { count, sum: total, min, max, last, lastAt: last_at } = cell;
  const bins = cell.bins.length === 0 ? '' : compact([...known, ...cell.bins]).join(',');
  return { ...place, count, sum: total, min, max, last, last_at, bins };
}

function binsOf(text: string): number[] {
  return text === '' ? [] : text.split(',').map(Number);
}

const PLACE = { series_id: 'bigint', width_ms: 'bigint', bucket: 'bigint' } as const;

async function knownBins(tx: Db, places: readonly Place[]): Promise<Map<string, Bins>> {
  if (places.length === 0) return new Map();
  const { rows } = await sql<Place & Pick<MetricRollupsTable, 'bins'>>`
    select r.series_id, r.width_ms, r.bucket, r.bins
    from ${rowsTable(tx, PLACE, places)} p cross join metric_rollups r
    where r.series_id = p.series_id and r.width_ms = p.width_ms and r.bucket = p.bucket`.execute(tx);
  return new Map(rows.map((row) => [placeOf(row), binsOf(row.bins)]));
}

const CELL = {
  ...PLACE,
  count: 'bigint',
  sum: 'double precision',
  min: 'double precision',
  max: 'double precision',
  last: 'double precision',
  last_at: 'bigint',
  bins: 'text',
} as const;

/** As cells merge, in SQL: it spares reading those that have no bins. */
async function addRows(tx: Db, rows: readonly MetricRollupsTable[]): Promise<void> {
  const columns = sql.join(Object.keys(CELL).map((name) => sql.ref(name)));
  const isLater = sql`r.last_at is null or excluded.last_at >= r.last_at`;
  await sql`
    insert into metric_rollups as r (${columns}) select ${columns} from ${rowsTable(tx, CELL, rows)} n where 1 = 1
    on conflict (series_id, width_ms, bucket) do update set
      count = r.count + excluded.count,
      sum = r.sum + excluded.sum,
      min = case when r.min is null or excluded.min < r.min then excluded.min else r.min end,
      max = case when r.max is null or excluded.max > r.max then excluded.max else r.max end,
      last = case when ${isLater} then excluded.last else r.last end,
      last_at = case when ${isLater} then excluded.last_at else r.last_at end,
      bins = case when excluded.bins = '' then r.bins else excluded.bins end`.execute(tx);
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
  const rows = missing.map(([text, series], n) => {
    const id = Number(highest) + 1 + n;
    ids.set(text, id);
    return { id, ...columnsOf(series) };
  });
  const columns = sql.join(['id', ...Object.keys(SERIES)].map((name) => sql.ref(name)));
  await sql`insert into metric_series (${columns})
    select ${columns} from ${rowsTable(tx, { id: 'bigint', ...SERIES }, rows)} n`.execute(tx);
  return ids;
}

const SERIES = {
  measure: 'text',
  cut: 'text',
  instance: 'text',
  workflow: 'text',
  tenant: 'text',
  status: 'text',
  code: 'text',
} as const;

type SeriesColumns = Omit<MetricSeriesTable, 'id'>;

function columnsOf({ measure, cut, key }: SeriesName): SeriesColumns {
  const { instance = '', workflow = '', tenant = '', status = '', code = '' } = key;
  return { measure, cut, instance, workflow, tenant, status, code };
}

async function knownIds(tx: Db, names: readonly SeriesName[]): Promise<Map<string, number>> {
  const equal = Object.keys(SERIES).map((name) => sql`${sql.ref(`s.${name}`)} = ${sql.ref(`n.${name}`)}`);
  const { rows } = await sql<MetricSeriesTable>`
    select s.* from ${rowsTable(tx, SERIES, names.map(columnsOf))} n cross join metric_series s
    where ${sql.join(equal, sql` and `)}`.execute(tx);
  return new Map(rows.map(({ id, measure, cut, ...key }) => [seriesText({ measure, cut, key }), id]));
}
