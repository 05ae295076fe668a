/**
 * Figures over time: one series for each metric and group, all on the same grid. How fine that is depends on how much there
 * is, so that an answer stays small and is read from few rows, whatever is asked.
 */
import { instanceNames } from '../../store/instance-names.ts';
import type { Db } from '../../store/open.ts';
import { countSeries } from '../../store/rollup-series.ts';
import { cutOf } from '../window.ts';
import type { MetricName, MetricStat, MetricUnit } from './figures.ts';
import { bucketsOf, countOfPoints, GRAPH_WIDTHS, type Grid, gridOf, widthOf } from './interval.ts';
import { type Part, partOf } from './part.ts';
import { type Labels, readValues, type Value } from './read-values.ts';
import { problemOf, type SeriesRequest } from './request.ts';

export const DEFAULT_POINTS = 500;
/** Of a series. */
export const MOST_POINTS = 11_000;
/** Of all series of an answer. */
export const MOST_POINTS_IN_ALL = 10_000;
/** Cells that are read for an answer at most: about a second of work. */
const MOST_CELLS = 300_000;

export interface MetricSeries {
  readonly metric: MetricName;
  readonly stat: MetricStat;
  readonly unit: MetricUnit;
  readonly labels: Labels;
  readonly intervalMs: number;
  /** Ascending, without gaps. */
  readonly points: readonly MetricPoint[];
}

export interface MetricPoint {
  /** Its beginning, epoch ms. */
  readonly at: number;
  /** Null where there is nothing. */
  readonly value: number | null;
}

export type SeriesAnswer =
  | { readonly kind: 'read'; readonly series: readonly MetricSeries[] }
  /** `message` says what to do. */
  | { readonly kind: 'refused'; readonly message: string };

const TOO_MUCH =
  'this would read too much: ask for a shorter time, for fewer metrics, with a filter, or with less in groupBy';

/** In the order of the metrics and of their labels. Takes one connection at a time. */
export async function readSeries(db: Db, request: SeriesRequest): Promise<SeriesAnswer> {
  const problem = problemOf(request);
  if (problem) return { kind: 'refused', message: problem };
  const parts = [...new Set(request.metrics)].map((metric) => partOf(metric, request));
  const grid = await chooseGrid(db, request, parts);
  if (!grid) return { kind: 'refused', message: TOO_MUCH };
  const reading = { grid, range: request.range, names: await instanceNames(db) };
  const series: MetricSeries[] = [];
  for (const part of parts) series.push(...seriesOf(part, grid, await readValues(db, part, reading)));
  return { kind: 'read', series };
}

/** Coarser than wished where that is too much to read; null where even days would be. */
async function chooseGrid(db: Db, request: SeriesRequest, parts: readonly Part[]): Promise<Grid | null> {
  const { range, intervalMs, maxDataPoints } = request;
  const wanted = maxDataPoints ?? (intervalMs === null ? DEFAULT_POINTS : MOST_POINTS);
  const points = Math.min(wanted, MOST_POINTS);
  const first = gridOf(range, { intervalMs, points });
  let [groups, stored] = [0, 0];
  for (const part of parts) {
    const counts = await countsOf(db, part, first);
    groups += part.groups.length === 0 ? 1 : Math.max(1, ...counts.map((count) => count.groups));
    stored += counts.reduce((sum, { series }) => sum + series, 0);
  }
  const most = Math.min(points, Math.floor(MOST_POINTS_IN_ALL / groups));
  if (most === 0) return null;
  for (const width of GRAPH_WIDTHS) {
    const grid = gridOf(range, { intervalMs: Math.max(intervalMs ?? 0, width), points: most });
    if (stored * bucketsOf(range, grid) <= MOST_CELLS) return grid;
  }
  return null;
}

async function countsOf(db: Db, { queries }: Part, grid: Grid) {
  const within = { ...grid, width: widthOf(grid) };
  const counts = [];
  for (const query of queries) counts.push(await countSeries(db, { ...query, cut: cutOf(query) }, within));
  return counts;
}

/** Groups that have a value; without groups one series in any case. */
function seriesOf(
  { metric, figure, stat, groups }: Part,
  grid: Grid,
  values: readonly Value[],
): MetricSeries[] {
  const told = new Map<string, Value[]>(groups.length === 0 ? [['{}', []]] : []);
  for (const value of values) {
    if (value.value === null) continue;
    const group = JSON.stringify(value.labels);
    const known = told.get(group);
    if (known) known.push(value);
    else told.set(group, [value]);
  }
  return [...told]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([labels, some]) => ({
      ...{ metric, stat, unit: figure.unit, intervalMs: grid.intervalMs },
      labels: JSON.parse(labels) as Labels,
      points: pointsOf(grid, some),
    }));
}

function pointsOf(grid: Grid, values: readonly Value[]): MetricPoint[] {
  const byTime = new Map(values.map(({ at, value }) => [at, value]));
  return Array.from({ length: countOfPoints(grid) }, (_, n) => {
    const at = grid.from + n * grid.intervalMs;
    return { at, value: byTime.get(at) ?? null };
  });
}
