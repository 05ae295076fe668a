/** The figures of one metric on a grid, group by group. */
import { setImmediate as turn } from 'node:timers/promises';
import type { MetricKey } from '../../domain/metric-measure.ts';
import type { Db } from '../../store/open.ts';
import { busyShare, readBusy } from '../busy.ts';
import { readPieces, type TimeRange } from '../window.ts';
import { figureValue } from './figure-value.ts';
import { METRIC_DIMENSIONS, type MetricLabelName } from './figures.ts';
import { type Grid, piecesOf } from './interval.ts';
import type { Part } from './part.ts';

/** What a group has in common; what it has not is absent. */
export type Labels = Readonly<Partial<Record<MetricLabelName, string>>>;

/** A figure of a group at the beginning of a point. */
export interface Value {
  readonly at: number;
  readonly labels: Labels;
  readonly value: number | null;
}

export interface Reading {
  readonly grid: Grid;
  readonly range: TimeRange;
  /** Of instances, by their ids: those of one name count together. */
  readonly names: ReadonlyMap<string, string>;
}

/** Quantiles of so many histograms take some milliseconds. */
const VALUES_A_TURN = 500;

/** In no order; points where a group has nothing are absent. */
export async function readValues(db: Db, part: Part, reading: Reading): Promise<Value[]> {
  const { grid, range, names } = reading;
  if (part.figure.kind === 'busy') return readBusyValues(db, part, reading);
  const [query] = part.queries;
  const nameOf = (id: string): string => names.get(id) ?? id;
  const points = await readPieces(db, {
    ...query,
    ...{ pieces: piecesOf(range, grid), pointMs: grid.intervalMs, nameOf },
  });
  const { kind } = part.figure;
  const values: Value[] = [];
  for (const [n, { at, key, cell }] of points.entries()) {
    if (n % VALUES_A_TURN === VALUES_A_TURN - 1) await turn();
    const passedMs = Math.min(at + grid.intervalMs, range.now) - at;
    values.push({ at, labels: labelsOf(part, key), value: figureValue(kind, part.stat, cell, passedMs) });
  }
  return values;
}

function labelsOf({ groups }: Part, key: MetricKey): Labels {
  const labels = groups.map((group) => [
    METRIC_DIMENSIONS[group].label,
    key[METRIC_DIMENSIONS[group].dimension],
  ]);
  return Object.fromEntries(labels.filter(([, value]) => value !== undefined && value !== ''));
}

/** Of each instance, or the mean of those that were heard of at the time. */
async function readBusyValues(db: Db, part: Part, reading: Reading): Promise<Value[]> {
  const { grid, range, names } = reading;
  const { now } = range;
  const instances = part.queries[0].where?.instance;
  const query = { pieces: piecesOf(range, grid), pointMs: grid.intervalMs, now, instances };
  const spent = new Map<number, Map<string, number>>();
  for (const { at, instance, ms } of await readBusy(db, query)) {
    const name = names.get(instance) ?? instance;
    const point = spent.get(at) ?? new Map<string, number>();
    spent.set(at, point.set(name, (point.get(name) ?? 0) + ms));
  }
  return [...spent].flatMap(([at, point]) => {
    const shares = [...point].map(([instance, ms]) => ({
      at,
      labels: { instance },
      value: busyShare(ms, at, at + grid.intervalMs, now),
    }));
    if (part.groups.length > 0) return shares;
    return [{ at, labels: {}, value: shares.reduce((sum, { value }) => sum + value, 0) / shares.length }];
  });
}
