import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Cell, compact } from '../../src/domain/metric-cell.ts';
import type { MetricFact } from '../../src/domain/metric-fact.ts';
import { expiredBefore } from '../../src/domain/metric-kept.ts';
import {
  ALL_TIME,
  bucketOf,
  cutsOf,
  type Dimension,
  dimensionsOf,
  type Measure,
  type MetricKey,
  type Width,
  widthsOf,
} from '../../src/domain/metric-measure.ts';
import { fold } from '../../src/metrics/fold.ts';
import { isKept } from '../../src/metrics/increments.ts';
import { type Increment, seriesText } from '../../src/store/rollups.ts';
import { facts as anyFacts } from './facts.ts';

const HOUR = 3_600_000;
const DAY = 86_400_000;
const NOW = Date.UTC(2026, 0, 10, 15, 17, 5, 123);
const LIMITS = { now: NOW, retentionMs: 30 * DAY };
const common = { at: NOW, tenant: 't', workflow: 'w' };
const ended = { kind: 'ended', ...common, instanceId: 'i', code: null, message: null, runMs: null } as const;
const attempt = {
  ...{ kind: 'attempt-ended', instanceId: 'i', outcome: 'SUCCEEDED', code: null, runMs: 0, counted: true },
  ...common,
} satisfies MetricFact;

/** One value of a measure: when it was, or from when to when; what it adds. */
interface Value {
  readonly measure: Measure;
  readonly key: MetricKey;
  readonly from: number;
  readonly to: number;
  readonly value: number | null;
}

/** What a fact means, said once more without cuts, widths and cells. */
function valuesOf(fact: MetricFact): Value[] {
  const { at, workflow, tenant } = fact;
  const now = { from: at, to: at, value: null };
  if (fact.kind === 'submitted') return [{ measure: 'submitted', key: { workflow, tenant }, ...now }];
  const key = { instance: fact.instanceId ?? '', workflow, tenant };
  if (fact.kind === 'started') return [{ measure: 'queue_time', key, ...now, value: fact.queueMs }];
  const code = fact.code ?? '';
  if (fact.kind === 'attempt-ended')
    return [
      { measure: 'attempts', key: { ...key, status: fact.outcome, code }, ...now },
      { measure: 'gpu_time', key, from: at - fact.runMs, to: at, value: fact.runMs },
    ];
  const { status, runMs } = fact;
  return [
    { measure: 'ended', key: { ...key, status, code }, ...now },
    ...(runMs === null
      ? []
      : [{ measure: 'run_time' as const, key: { ...key, status }, ...now, value: runMs }]),
  ];
}

const isIn = (increment: Increment, { measure, key }: Value): boolean =>
  measure === increment.series.measure &&
  Object.entries(increment.series.key).every(
    ([name, value]) => (key[name as keyof MetricKey] ?? '') === value,
  );

const only = (key: MetricKey, names: readonly Dimension[]): MetricKey =>
  Object.fromEntries(names.map((name) => [name, key[name] ?? '']));

/** How many ms of a value lie between two moments. */
const overlap = ({ from, to }: Value, begin: number, end: number): number =>
  Math.max(0, Math.min(to, end) - Math.max(from, begin));

describe('folding', () => {
  it('gives each cell what lies in it, and nothing is lost that is kept', () => {
    fc.assert(
      fc.property(anyFacts(NOW), (facts) => {
        const { increments } = fold(facts, LIMITS);
        const values = facts.flatMap(valuesOf);
        for (const increment of increments) {
          const { width, bucket, cell, series } = increment;
          const end = width === ALL_TIME ? Number.POSITIVE_INFINITY : bucket + width;
          const begin = width === ALL_TIME ? Number.NEGATIVE_INFINITY : bucket;
          const here = values.filter((value) => isIn(increment, value));
          if (series.measure === 'gpu_time') {
            expect(cell.sum).toBe(here.reduce((sum, value) => sum + overlap(value, begin, end), 0));
          } else {
            const numbers = here.filter(({ from }) => from >= begin && from < end);
            expect(cell.count).toBe(numbers.length);
            expect(cell.sum).toBe(numbers.reduce((sum, { value }) => sum + (value ?? 0), 0));
          }
        }
        // each series and width holds as much as there is of it
        const totals = new Map<string, { first: Increment; count: number; sum: number }>();
        for (const increment of increments) {
          const name = `${seriesText(increment.series)} ${increment.width}`;
          const total = totals.get(name) ?? { first: increment, count: 0, sum: 0 };
          total.count += increment.cell.count;
          total.sum += increment.cell.sum;
          totals.set(name, total);
        }
        for (const { measure, key, to, value } of values) {
          for (const cut of value === 0 && measure === 'gpu_time' ? [] : cutsOf(measure)) {
            const name = seriesText({ measure, cut, key: only(key, dimensionsOf(measure, cut)) });
            const widths = widthsOf(measure, cut).filter((width) => isKept(width, to - 1, LIMITS));
            for (const width of widths) expect(totals.has(`${name} ${width}`)).toBe(true);
          }
        }
        for (const { first, count, sum } of totals.values()) {
          const { width } = first;
          const oldest =
            width === ALL_TIME
              ? Number.NEGATIVE_INFINITY
              : Math.ceil(expiredBefore(width, NOW, LIMITS.retentionMs) / width) * width;
          const here = values.filter((value) => isIn(first, value));
          if (first.series.measure === 'gpu_time') {
            const end = Number.POSITIVE_INFINITY;
            expect(sum).toBe(here.reduce((all, value) => all + overlap(value, oldest, end), 0));
          } else expect(count).toBe(here.filter(({ from }) => from >= oldest).length);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('names each cell once, whatever comes', () => {
    fc.assert(
      fc.property(anyFacts(NOW), (facts) => {
        const places = fold(facts, LIMITS).increments.map(
          ({ series, width, bucket }) => `${seriesText(series)} ${width} ${bucket}`,
        );
        expect(new Set(places).size).toBe(places.length);
      }),
    );
  });

  it('adds up to the same in one piece and in several', () => {
    const sums = (folded: readonly Increment[]): Record<string, Partial<Cell>> => {
      const cells: Record<string, { count: number; sum: number; bins: number[] }> = {};
      for (const { series, width, bucket, cell } of folded) {
        const place = `${seriesText(series)} ${width} ${bucket}`;
        const known = cells[place] ?? { count: 0, sum: 0, bins: [] };
        cells[place] = {
          count: known.count + cell.count,
          sum: known.sum + cell.sum,
          bins: [...compact([...known.bins, ...cell.bins])],
        };
      }
      return cells;
    };
    fc.assert(
      fc.property(anyFacts(NOW), fc.nat(), (facts, cut) => {
        const at = facts.length === 0 ? 0 : cut % facts.length;
        const pieces = [facts.slice(0, at), facts.slice(at)];
        const whole = fold(facts, LIMITS);
        const parts = pieces.map((some) => fold(some, LIMITS));
        expect(sums(parts.flatMap(({ increments }) => increments))).toEqual(sums(whole.increments));
      }),
      { numRuns: 50 },
    );
  });

  it('splits time on an instance over the buckets in which it was spent, also over midnight', () => {
    const midnight = bucketOf(DAY, NOW);
    const fact: MetricFact = { ...attempt, at: midnight + 5000, runMs: 12_000, counted: false };
    const { increments, usage } = fold([fact], LIMITS);
    const of = (width: Width) =>
      increments
        .filter(
          ({ series, ...rest }) =>
            series.measure === 'gpu_time' && series.cut === 'fleet' && rest.width === width,
        )
        .map(({ bucket, cell }) => [bucket - midnight, cell.sum]);
    expect(of(60_000)).toEqual([
      [-60_000, 7000],
      [0, 5000],
    ]);
    expect(of(DAY)).toEqual([
      [-DAY, 7000],
      [0, 5000],
    ]);
    expect(of(ALL_TIME)).toEqual([[-midnight, 12_000]]);
    const row = { tenant: 't', workflow: 'w', jobs: 0, counted_gpu_ms: 0 };
    expect(usage).toEqual([
      { ...row, day: midnight - DAY, gpu_ms: 7000 },
      { ...row, day: midnight, gpu_ms: 5000 },
    ]);
  });

  it('adds to no bucket that is kept no more, but to the others and to all time', () => {
    const late: MetricFact = { ...ended, at: NOW - 5 * HOUR, status: 'COMPLETED' };
    const { increments } = fold([late], LIMITS);
    const widths = increments.filter(({ series }) => series.cut === 'fleet').map(({ width }) => width);
    expect(widths).toEqual([60_000, HOUR, DAY, ALL_TIME]);
    const ancient = fold([{ ...late, at: NOW - 40 * DAY }], LIMITS);
    expect(new Set(ancient.increments.map(({ width }) => width))).toEqual(new Set([ALL_TIME]));
    expect(ancient.usage).toEqual([]);
    // an attempt of a whole day has at most the 10-s buckets of the last hours
    const long = fold([{ ...attempt, runMs: DAY }], LIMITS).increments;
    const fine = long.filter(({ series, width }) => series.measure === 'gpu_time' && width === 10_000);
    expect(fine.length).toBeLessThanOrEqual(cutsOf('gpu_time').length * 375);
  });

  it('keeps of all time what cannot grow with tenants that come and go', () => {
    const { increments } = fold([{ ...ended, status: 'COMPLETED', runMs: 5 }, attempt], LIMITS);
    const forEver = increments.filter(({ width }) => width === ALL_TIME);
    expect(forEver.filter(({ series }) => 'tenant' in series.key)).toEqual([]);
    expect(new Set(forEver.map(({ series }) => series.cut))).toEqual(
      new Set(['fleet', 'instance', 'workflow']),
    );
  });

  it('counts usage by tenant and workflow: jobs on the day they ended, and which time counted', () => {
    const facts: MetricFact[] = [
      { ...attempt, runMs: 100, counted: false },
      { ...attempt, runMs: 250 },
      { ...ended, status: 'COMPLETED', runMs: 250 },
      { ...ended, status: 'CANCELED', tenant: 'other' },
      { kind: 'submitted', ...common },
    ];
    const row = { day: bucketOf(DAY, NOW), tenant: 't', workflow: 'w' };
    expect(fold(facts, LIMITS).usage).toEqual([
      { ...row, jobs: 1, gpu_ms: 350, counted_gpu_ms: 250 },
      { ...row, tenant: 'other', jobs: 1, gpu_ms: 0, counted_gpu_ms: 0 },
    ]);
  });

  it('keeps the newest failure of each kind; what was retried or canceled is none', () => {
    const failed = { ...ended, status: 'FAILED', code: 'OUT_OF_MEMORY' } as const;
    const facts: MetricFact[] = [
      { ...failed, at: NOW - 1, message: 'older' },
      { ...failed, message: 'newest' },
      { ...failed, at: NOW - 2, message: 'oldest' },
      { ...failed, code: 'DEADLINE_EXCEEDED', instanceId: null, message: null },
      { ...attempt, outcome: 'FAILED', code: 'OUT_OF_MEMORY', counted: false },
      { ...ended, status: 'CANCELED' },
    ];
    expect(fold(facts, LIMITS).failures).toEqual([
      { code: 'OUT_OF_MEMORY', instance: 'i', workflow: 'w', last_at: NOW, last_message: 'newest' },
      { code: 'DEADLINE_EXCEEDED', instance: '', workflow: 'w', last_at: NOW, last_message: '' },
    ]);
  });
});
