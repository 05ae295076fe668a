import { describe, expect, it, onTestFinished } from 'vitest';
import { type Cell, cellOf, compact, countOf, mergeCells, quantile } from '../../src/domain/metric-cell.ts';
import type { MetricFact } from '../../src/domain/metric-fact.ts';
import { noteFacts, takeFacts } from '../../src/store/metric-outbox.ts';
import { type PointsQuery, readPoints } from '../../src/store/rollup-points.ts';
import { addToRollups, type Increment } from '../../src/store/rollups.ts';
import { ENGINES, openTempStore } from '../support/temp-store.ts';

describe.each(ENGINES)('rollups on %s', (engine) => {
  async function open() {
    const temp = await openTempStore(engine);
    onTestFinished(() => temp.close());
    const { store } = temp;
    const add = (...increments: Increment[]) => store.transaction((tx) => addToRollups(tx, increments));
    const read = (query: Partial<PointsQuery> = {}) =>
      readPoints(store.db, {
        measure: 'run_time',
        cut: 'instance',
        pieces: [{ width: 10_000, from: 0, to: 100_000 }],
        pointMs: null,
        by: [],
        ...query,
      });
    return { store, add, read };
  }
  const ran = (instance: string, bucket: number, cell: Cell): Increment => ({
    series: { measure: 'run_time', cut: 'instance', key: { instance, status: 'COMPLETED' } },
    width: 10_000,
    bucket,
    cell,
  });
  const cells = (...values: number[]): Cell =>
    values.map((value, n) => cellOf(value, n)).reduce((a, b) => mergeCells(a, b));

  it('merge what is added at different times into what one cell of all values would be', async () => {
    const { add, read } = await open();
    await add(ran('a', 10_000, cells(100, 2000)), ran('b', 20_000, cells(500)));
    await add(ran('a', 10_000, cells(50)));
    const [all, ...none] = await read({ bins: true, last: true });
    expect(none).toEqual([]);
    expect(all?.cell).toMatchObject({ count: 4, sum: 2650, min: 50, max: 2000 });
    expect(compact(all?.cell.bins ?? [])).toEqual(compact(cells(100, 2000, 500, 50).bins));
    expect(quantile(all?.cell as Cell, 1)).toBe(2000);
  });

  it('answer points of several buckets, told apart as asked, of the series and the time that are asked for', async () => {
    const { add, read } = await open();
    await add(
      ...[10_000, 20_000, 30_000].map((bucket) => ran('a', bucket, countOf(1))),
      ran('b', 30_000, countOf(5)),
    );
    const points = await read({
      pointMs: 20_000,
      by: ['instance'],
      pieces: [{ width: 10_000, from: 20_000, to: 40_000 }],
    });
    expect(points.map(({ at, key, cell }) => [at, key, cell.count])).toEqual(
      expect.arrayContaining([
        [20_000, { instance: 'a' }, 2],
        [20_000, { instance: 'b' }, 5],
      ]),
    );
    expect(points).toHaveLength(2);
    const filtered = await read({ where: { instance: ['b'], status: ['COMPLETED'] } });
    expect(filtered.map(({ at, cell }) => [at, cell.count])).toEqual([[0, 5]]);
    expect(await read({ where: { instance: [] } })).toEqual([]);
  });

  it('know the newest value, however the cells lie', async () => {
    const { add, read } = await open();
    await add(ran('a', 10_000, cellOf(1.5e12, 12_000)), ran('b', 10_000, cellOf(0.25, 13_000)));
    const [point] = await read({ last: true });
    expect(point?.cell).toMatchObject({ last: 0.25, lastAt: 13_000 });
  });

  it('keep extremes, bins and the newest value when what is added has none, or older ones', async () => {
    const { add, read } = await open();
    await add(ran('a', 10_000, countOf(1)));
    await add(ran('a', 10_000, mergeCells(cellOf(0.1, 13_000), cellOf(7, 12_000))));
    await add(ran('a', 10_000, countOf(2)));
    await add(ran('a', 10_000, cellOf(3, 11_000)));
    const [point] = await read({ bins: true, last: true });
    expect(point?.cell).toMatchObject({ count: 6, min: 0.1, max: 7, last: 0.1, lastAt: 13_000 });
    expect(compact(point?.cell.bins ?? [])).toEqual(compact(cells(0.1, 3, 7).bins));
  });

  it('are added to by a thousand cells at once', async () => {
    const { add, read } = await open();
    await add(...Array.from({ length: 1000 }, (_, n) => ran(`gpu${n}`, 0, countOf(1))));
    const points = await read({ by: ['instance'] });
    expect(points).toHaveLength(1000);
    expect(new Set(points.map(({ key }) => key.instance))).toContain('gpu999');
  });

  it('take each fact out of the outbox once, oldest first, and not when that is undone', async () => {
    const { store } = await open();
    const facts: MetricFact[] = [
      { kind: 'submitted', at: 1, tenant: 't', workflow: 'w' },
      { kind: 'started', at: 2, tenant: 't', workflow: 'w', instanceId: 'i', queueMs: 1 },
      {
        kind: 'attempt-ended',
        ...{ at: 3, tenant: 't', workflow: 'w', instanceId: 'i', outcome: 'FAILED', code: 'OUT_OF_MEMORY' },
        ...{ runMs: 7, counted: true },
      },
      {
        kind: 'ended',
        ...{ at: 3, tenant: 't', workflow: 'w', instanceId: null, status: 'FAILED', code: 'OUT_OF_MEMORY' },
        ...{ message: 'no memory', runMs: null },
      },
    ];
    await store.transaction(async (tx) => {
      let made = 0;
      await noteFacts(tx, () => `id-${made++}`, facts);
    });
    const undone = store.transaction(async (tx) => {
      await takeFacts(tx, 10);
      throw new Error('undone');
    });
    await expect(undone).rejects.toThrow('undone');
    const take = (most: number) => store.transaction((tx) => takeFacts(tx, most));
    expect(await take(1)).toEqual(facts.slice(0, 1));
    const [one, other] = await Promise.all([take(2), take(2)]);
    expect([...one, ...other]).toHaveLength(3);
    expect([...one, ...other]).toEqual(expect.arrayContaining(facts.slice(1)));
  });
});
