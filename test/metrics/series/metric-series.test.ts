import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cellOf } from '../../../src/domain/metric-cell.ts';
import type { Measure } from '../../../src/domain/metric-measure.ts';
import { fold } from '../../../src/metrics/fold.ts';
import { Increments } from '../../../src/metrics/increments.ts';
import {
  FIGURES,
  type Figure,
  METRIC_DIMENSIONS,
  type MetricDimension,
  type MetricName,
  type MetricStat,
  shareOf,
  statsOf,
} from '../../../src/metrics/series/figures.ts';
import { type MetricSeries, readSeries } from '../../../src/metrics/series/metric-series.ts';
import type { SeriesRequest } from '../../../src/metrics/series/request.ts';
import type { Store } from '../../../src/store/open.ts';
import { addToRollups } from '../../../src/store/rollups.ts';
import { putInstances } from '../../support/instance-rows.ts';
import { ENGINES, openTempStore, type TempStore } from '../../support/temp-store.ts';
import { facts } from '../facts.ts';
import { type Observation, observationsOf } from './naive-figures.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;
const NOW = Date.UTC(2026, 10, 22, 18, 3, 27, 123);
const KEPT = { now: NOW, retentionMs: YEAR };
const BIN = 2 ** (1 / 16) * (1 + 1e-9);
/** Two of one name: the one was removed before the other came. */
const NAMES: Readonly<Record<string, string>> = { i1: 'gpu1', i2: 'gpu2', i3: 'gpu1' };

const metricNames = Object.keys(FIGURES).filter((name) => name !== 'INSTANCE_BUSY') as MetricName[];
const ago = fc.oneof(
  fc.integer({ min: 1, max: 90_000 }),
  fc.integer({ min: 1, max: 3 * HOUR }),
  fc.integer({ min: 1, max: 61 * DAY }),
);
const seldom = <T>(some: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: some });
const requests: fc.Arbitrary<SeriesRequest> = fc
  .record({
    metric: fc.constantFrom(...metricNames),
    stat: fc.nat(),
    ends: fc.tuple(fc.oneof(ago, fc.constant(61 * DAY)), ago),
    untilNow: fc.boolean(),
    intervalMs: fc.option(fc.integer({ min: 1, max: 3 * DAY })),
    maxDataPoints: fc.option(fc.integer({ min: 1, max: 400 })),
    groupBy: fc.subarray(Object.keys(METRIC_DIMENSIONS) as MetricDimension[]),
    instances: seldom(fc.subarray(['i1', 'i2', 'i3'])),
    workflows: seldom(fc.subarray(['w1', 'w2', 'other'])),
    statuses: seldom(fc.subarray(['COMPLETED' as const, 'FAILED' as const])),
  })
  .map(({ metric, stat, ends, untilNow, instances, workflows, statuses, ...rest }) => {
    const { dimensions }: Figure = FIGURES[metric];
    const stats = statsOf(metric);
    return {
      ...rest,
      metrics: [metric],
      stat: stats[stat % stats.length] ?? null,
      range: {
        ...KEPT,
        from: NOW - Math.max(...ends),
        to: untilNow ? NOW : NOW - Math.min(...ends) + 1,
      },
      filter: {
        ...(instances && dimensions.includes('INSTANCE') && { instances }),
        ...(workflows && dimensions.includes('WORKFLOW') && { workflows }),
        ...(statuses && dimensions.includes('STATUS') && { statuses }),
      },
    };
  });

const samples = fc.uniqueArray(
  fc.record({
    measure: fc.constantFrom<Measure>('queue_depth', 'instances_healthy', 'response_time', 'vram_used'),
    instance: fc.constantFrom('i1', 'i2', 'i3'),
    age: ago,
    value: fc.oneof(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 0, max: 2 ** 40 })),
  }),
  { selector: ({ age }) => age, maxLength: 20 },
);

describe.each(ENGINES)('series of figures on %s', (engine) => {
  let temp: TempStore;
  let store: Store;
  beforeAll(async () => {
    temp = await openTempStore(engine);
    store = temp.store;
    await putInstances(store.db, NAMES);
  });
  afterAll(() => temp.close());

  const read = async (request: SeriesRequest): Promise<readonly MetricSeries[]> => {
    const answer = await readSeries(store.db, request);
    if (answer.kind === 'refused') throw new Error(answer.message);
    return answer.series;
  };

  it('say what somebody works out who kept every value', async () => {
    const asked = fc.array(requests, { minLength: 8, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(facts(NOW, 40), samples, asked, async (given, taken, wishes) => {
        await store.db.deleteFrom('metric_rollups').execute();
        const past = given.filter(({ at }) => at <= NOW);
        const gauges = new Increments(KEPT);
        for (const { measure, instance, age, value } of taken)
          gauges.at(measure, { instance }, NOW - age, cellOf(value, NOW - age));
        await store.transaction((tx) => addToRollups(tx, fold(past, KEPT).increments));
        await store.transaction((tx) => addToRollups(tx, gauges.all()));
        for (const wish of wishes) {
          const series = await read(wish);
          const interval = series[0]?.intervalMs ?? 10_000;
          const observations = [
            ...past.flatMap((fact) => observationsOf(fact, interval)),
            ...taken.map(
              ({ measure, instance, age, value }): Observation => ({
                ...{ measure, dimensions: { instance }, at: NOW - age, value },
              }),
            ),
          ];
          compare(wish, series, observations);
        }
      }),
      { numRuns: engine === 'SQLite' ? 40 : 15 },
    );
  }, 120_000);
});

/** Same groups, same points, same values. */
function compare(wish: SeriesRequest, all: readonly MetricSeries[], observations: readonly Observation[]) {
  const [metric] = wish.metrics as [MetricName];
  const figure = FIGURES[metric] as Exclude<Figure, { kind: 'busy' }>;
  const groups = wish.groupBy.filter((each) => figure.dimensions.includes(each));
  const own = observations.filter((one) => one.measure === figure.measure && isWanted(one, figure, wish));
  const first = all[0];
  if (!first) {
    const { from, to } = wish.range;
    expect(groups.length).toBeGreaterThan(0);
    expect(own.filter(({ at }) => at >= from && at < to)).toEqual([]);
    return;
  }
  const grid = first.points.map(({ at }) => at);
  checkGrid(wish, first, grid);
  const expected = new Map<string, Map<number, number[]>>();
  if (groups.length === 0) expected.set('', new Map());
  for (const one of [...own].sort((a, b) => a.at - b.at)) {
    const at = Math.floor(one.at / first.intervalMs) * first.intervalMs;
    if (at < (grid[0] as number) || at > (grid.at(-1) as number)) continue;
    const group = groupText(groups, one);
    const points = expected.get(group) ?? new Map<number, number[]>();
    points.set(at, [...(points.get(at) ?? []), one.value]);
    expected.set(group, points);
  }
  expect(all.map((series) => labelText(groups, series)).sort()).toEqual([...expected.keys()].sort());
  for (const series of all) {
    const points = expected.get(labelText(groups, series));
    expect(series.points.map(({ at }) => at)).toEqual(grid);
    for (const { at, value } of series.points)
      expectValue(value, points?.get(at) ?? [], figure.kind, series, Math.min(first.intervalMs, NOW - at));
  }
}

function isWanted(
  { dimensions }: Observation,
  { only, usually }: Exclude<Figure, { kind: 'busy' }>,
  wish: SeriesRequest,
) {
  const { instances, workflows, statuses } = wish.filter;
  const { instance = '', workflow = '', status = '' } = dimensions;
  const usual = statuses === undefined && !wish.groupBy.includes('STATUS') ? usually : undefined;
  return (
    (!instances || instances.includes(instance)) &&
    (!workflows || workflows.includes(workflow)) &&
    (!statuses || statuses.some((each) => each === status)) &&
    (!only || only.some((each) => each === status)) &&
    (!usual || usual.some((each) => each === status))
  );
}

function groupText(groups: readonly MetricDimension[], { dimensions }: Observation): string {
  return groups
    .map((group) => {
      const value = dimensions[METRIC_DIMENSIONS[group].dimension] ?? '';
      return group === 'INSTANCE' ? (NAMES[value] ?? value) : value;
    })
    .join('|');
}

function labelText(groups: readonly MetricDimension[], { labels }: MetricSeries): string {
  return groups.map((group) => labels[METRIC_DIMENSIONS[group].label] ?? '').join('|');
}

function checkGrid(
  { range, maxDataPoints, intervalMs }: SeriesRequest,
  series: MetricSeries,
  grid: number[],
) {
  const width = series.intervalMs;
  expect(grid.length).toBeLessThanOrEqual(maxDataPoints ?? 11_000);
  expect(width).toBeGreaterThanOrEqual(intervalMs ?? 10_000);
  expect(grid[0]).toBe(Math.floor(range.from / width) * width);
  expect(grid.at(-1)).toBeLessThan(range.to);
  expect(grid.at(-1)).toBeGreaterThanOrEqual(range.to - width);
  expect(grid.every((at, n) => at === (grid[0] as number) + n * width)).toBe(true);
}

function expectValue(
  value: number | null,
  values: readonly number[],
  kind: Figure['kind'],
  { stat }: MetricSeries,
  passedMs: number,
) {
  if (values.length === 0) return expect(value).toBeNull();
  const share = shareOf(stat);
  if (share === null)
    return expect(value).toBeCloseTo(naive(stat, values, kind, Math.max(1, passedMs / 1000)), 5);
  const sorted = [...values].sort((a, b) => a - b);
  const truth = sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] as number;
  expect(value).toBeLessThanOrEqual(truth * BIN);
  expect(value).toBeGreaterThanOrEqual(truth / BIN);
}

function naive(stat: MetricStat, values: readonly number[], kind: Figure['kind'], seconds: number): number {
  const sum = values.reduce((a, b) => a + b, 0) / (kind === 'total' ? 1000 : 1);
  switch (stat) {
    case 'SUM':
      return sum;
    case 'RATE':
      return sum / seconds;
    case 'AVG':
      return sum / values.length;
    case 'MIN':
      return Math.min(...values);
    case 'MAX':
      return Math.max(...values);
    default:
      return values.at(-1) as number;
  }
}
