import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { cellOf } from '../../src/domain/metric-cell.ts';
import { expiredBefore, keptFrom } from '../../src/domain/metric-kept.ts';
import {
  ALL_TIME,
  bucketOf,
  cutsOf,
  MEASURES,
  type Measure,
  WIDTHS,
} from '../../src/domain/metric-measure.ts';
import { coverage, cutFor, finestAt, readWindow } from '../../src/metrics/window.ts';
import type { Piece } from '../../src/store/rollup-points.ts';
import { addToRollups, type Increment } from '../../src/store/rollups.ts';
import { ENGINES, openTempStore } from '../support/temp-store.ts';

const DAY = 86_400_000;
const YEAR = 365 * DAY;
const NOW = Date.UTC(2026, 10, 22, 18, 3, 27, 123);
const widths = WIDTHS.filter((width) => width !== ALL_TIME);
const buckets = (pieces: readonly Piece[]): number =>
  pieces.reduce((sum, { width, from, to }) => sum + (to - from) / width, 0);
/** How long ago, most often where one fineness gives way to the next. */
const ago = fc.oneof(
  fc.integer({ min: -100_000, max: 2 * YEAR }),
  ...[0, 3_600_000, 2 * DAY, YEAR].map((edge) => fc.integer({ min: edge - 90_000, max: edge + 90_000 })),
);

describe('a window', () => {
  it('is covered without gap or overlap, by buckets that are kept, a bucket too far at its ends at most', () => {
    fc.assert(
      fc.property(ago, ago, fc.integer({ min: 0, max: DAY }), (a, b, later) => {
        const now = NOW + later;
        const [from, to] = [now - Math.max(a, b) - 1, now - Math.min(a, b)];
        const pieces = coverage({ from, to, now, retentionMs: YEAR });
        const first = Math.max(from, keptFrom(DAY, now, YEAR));
        const last = Math.min(to, now + 1) - 1;
        if (first > last) {
          expect(pieces).toEqual([]);
          return;
        }
        for (const [n, piece] of pieces.entries()) {
          expect(piece.from % piece.width).toBe(0);
          expect((piece.to - piece.from) % piece.width).toBe(0);
          expect(piece.from).toBeGreaterThanOrEqual(keptFrom(piece.width, now, YEAR));
          if (n > 0) expect(piece.from).toBe(pieces[n - 1]?.to);
        }
        expect(pieces[0]?.from).toBe(bucketOf(finestAt(first, now, YEAR), first));
        const finest = finestAt(last, now, YEAR);
        expect(pieces.at(-1)?.to).toBe(bucketOf(finest, last) + finest);
      }),
      { numRuns: 2000 },
    );
  });

  it('takes few buckets, however long it is', () => {
    const at = (from: number, to = 0) =>
      coverage({ from: NOW - from, to: NOW - to, now: NOW, retentionMs: YEAR });
    expect(buckets(at(YEAR))).toBeLessThan(365 + 24 + 60 + 6);
    expect(buckets(at(30 * DAY, 5 * DAY))).toBeLessThan(30 + 46);
    expect(at(10_000).map(({ width }) => width)).toEqual([10_000]);
    expect(at(YEAR).map(({ width }) => width)).toEqual([3_600_000, DAY, 3_600_000, 60_000, 10_000]);
  });

  it('says nothing of a time that is not kept any more, or has not come', () => {
    const range = { now: NOW, retentionMs: YEAR };
    expect(coverage({ ...range, from: 0, to: NOW - 2 * YEAR })).toEqual([]);
    expect(coverage({ ...range, from: NOW + 1, to: NOW + DAY })).toEqual([]);
    expect(coverage({ ...range, from: NOW, to: NOW })).toEqual([]);
    const short = { now: NOW, retentionMs: 3_600_000 };
    expect(coverage({ ...short, from: NOW - 3 * DAY, to: NOW })[0]?.from).toBe(
      bucketOf(DAY, NOW - 3_600_000),
    );
  });

  it('reads what may be deleted no more', () => {
    for (const width of widths)
      expect(expiredBefore(width, NOW, YEAR)).toBeLessThan(keptFrom(width, NOW, YEAR));
  });

  it('reads the smallest way of keeping that tells apart what is asked', () => {
    expect(cutFor('run_time', [])).toBe('fleet');
    expect(cutFor('run_time', ['status'])).toBe('fleet');
    expect(cutFor('ended', ['instance', 'status'])).toBe('instance');
    expect(cutFor('ended', ['instance', 'workflow'])).toBe('full');
    expect(cutFor('ended', ['workflow', 'code'])).toBe('workflow');
    expect(cutFor('response_time', ['instance'])).toBe('instance');
    for (const measure of Object.keys(MEASURES) as Measure[])
      for (const dimension of MEASURES[measure].dimensions)
        expect(cutsOf(measure)).toContain(cutFor(measure, [dimension]));
    expect(() => cutFor('queue_depth', ['instance'])).toThrow('queue_depth');
  });
});

describe.each(ENGINES)('figures of a window on %s', (engine) => {
  it('count what happened in it once, whichever buckets have it', async () => {
    const temp = await openTempStore(engine);
    onTestFinished(() => temp.close());
    const moments = [1, 30, 59, 60, 61, 300, 3599, 3640, 7200, DAY / 1000, 3 * 86_400, 40 * 86_400].map(
      (seconds) => NOW - seconds * 1000,
    );
    const cells = new Map<string, Increment>();
    for (const [n, at] of moments.entries())
      for (const width of WIDTHS) {
        const bucket = bucketOf(width, at);
        const series = {
          measure: 'run_time',
          cut: 'instance',
          key: { instance: `i${n % 2}`, status: 'COMPLETED' },
        };
        const increment = { series, width, bucket, cell: cellOf(n + 1, at) } as Increment;
        const place = `${n % 2} ${width} ${bucket}`;
        if (cells.has(place)) await temp.store.transaction((tx) => addToRollups(tx, [increment]));
        else cells.set(place, increment);
        if (cells.get(place) === increment)
          await temp.store.transaction((tx) => addToRollups(tx, [increment]));
      }
    const read = (from: number, to: number) =>
      readWindow(
        temp.store.db,
        { from, to, now: NOW, retentionMs: YEAR },
        { measure: 'run_time', by: ['instance'], where: { status: ['COMPLETED'] }, last: true, bins: true },
      );
    const all = await read(NOW - YEAR, NOW);
    expect(
      new Map(
        all.map(({ key, cell }) => [key.instance, [cell.count, cell.sum, cell.min, cell.max, cell.last]]),
      ),
    ).toEqual(
      new Map([
        ['i0', [6, 36, 1, 11, 1]],
        ['i1', [6, 42, 2, 12, 2]],
      ]),
    );
    const lastHour = await read(NOW - 3_600_000, NOW);
    expect(lastHour.reduce((sum, { cell }) => sum + cell.count, 0)).toBe(7);
    const before = await read(NOW - 50 * DAY, NOW - 2 * 3_600_000);
    expect(before.reduce((sum, { cell }) => sum + cell.count, 0)).toBe(4);
  });
});
