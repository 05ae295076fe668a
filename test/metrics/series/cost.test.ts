import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { cellOf } from '../../../src/domain/metric-cell.ts';
import { Increments } from '../../../src/metrics/increments.ts';
import { readSeries } from '../../../src/metrics/series/metric-series.ts';
import type { SeriesRequest } from '../../../src/metrics/series/request.ts';
import { coverage, readPieces } from '../../../src/metrics/window.ts';
import type { Db } from '../../../src/store/open.ts';
import { addToRollups } from '../../../src/store/rollups.ts';
import { ENGINES, type EngineName, openTempStore } from '../../support/temp-store.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 10, 22, 18, 3, 27);
const KEPT = { now: NOW, retentionMs: 365 * DAY };

/** One job, an hour ago, of each of so many workflows on each of so many instances. */
async function jobs(engine: EngineName, instances: number, workflows: number): Promise<Db> {
  const temp = await openTempStore(engine);
  onTestFinished(() => temp.close());
  const increments = new Increments(KEPT);
  for (let i = 0; i < instances; i++)
    for (let w = 0; w < workflows; w++) {
      const key = { instance: `i${i}`, workflow: `w${w}`, tenant: 'a', status: 'COMPLETED', code: '' };
      increments.at('run_time', key, NOW - HOUR, cellOf(1000 + i));
    }
  await temp.store.transaction((tx) => addToRollups(tx, increments.all()));
  return temp.store.db;
}

const ask = (days: number, more: Partial<SeriesRequest> = {}): SeriesRequest => ({
  ...{ metrics: ['JOB_DURATION'], stat: 'P95', intervalMs: null, maxDataPoints: null, groupBy: [] },
  range: { ...KEPT, from: NOW - days * DAY, to: NOW },
  filter: {},
  ...more,
});

const allOf = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, n) => `${name}${n}`);

describe.each(ENGINES)('what is read for a graph on %s', (engine) => {
  it('is of wider buckets where there would be too many, and refused where even days would be', async () => {
    const db = await jobs(engine, 80, 10);
    const filter = { instances: allOf('i', 80), workflows: allOf('w', 10) };

    const few = await readSeries(db, ask(1, { filter: { ...filter, workflows: ['w0'] } }));
    expect(few).toMatchObject({ kind: 'read', series: [{ intervalMs: 5 * 60_000 }] });
    const all = await readSeries(db, ask(1, { filter }));
    expect(all).toMatchObject({ kind: 'read', series: [{ intervalMs: HOUR }] });
    const counted = await readSeries(db, ask(1, { filter, stat: 'MAX' }));
    if (counted.kind === 'refused') throw new Error(counted.message);
    expect(counted.series[0]?.points.filter(({ value }) => value !== null)).toEqual([
      { at: Date.UTC(2026, 10, 22, 17), value: 1079 },
    ]);

    const year = await readSeries(db, ask(364, { filter }));
    expect(year).toMatchObject({ kind: 'refused', message: expect.stringContaining('a shorter time') });
  });

  it('comes to ten thousand points at most, however many groups there are', async () => {
    const db = await jobs(engine, 70, 10);
    const answer = await readSeries(db, ask(1, { groupBy: ['INSTANCE', 'WORKFLOW'] }));
    if (answer.kind === 'refused') throw new Error(answer.message);
    expect(answer.series).toHaveLength(700);
    const points = answer.series.flatMap((series) => series.points);
    expect(points.length).toBeLessThanOrEqual(10_000);
    expect(points.filter(({ value }) => value !== null)).toHaveLength(700);
  });

  it('is read in parts that merge to the same, with a turn for others after each', async () => {
    const db = await jobs(engine, 20, 2);
    const pieces = coverage({ ...KEPT, from: NOW - 2 * HOUR, to: NOW }, 60_000);
    const query = { measure: 'run_time', by: ['instance'], pieces, pointMs: null, bins: true } as const;
    const whole = await readPieces(db, query);
    let [turns, reading] = [0, true];
    const others = (async () => {
      for (; reading; turns++) await turn();
    })();
    const parts = await readPieces(db, query, 20);
    reading = false;
    await others;

    expect(turns).toBeGreaterThanOrEqual(
      pieces.reduce((sum, { width, from, to }) => sum + (to - from) / width, 0),
    );
    const sorted = (points: typeof whole) => points.map((point) => JSON.stringify(point)).sort();
    expect(sorted(parts)).toEqual(sorted(whole));
    expect(whole).toHaveLength(20);
  });
});
