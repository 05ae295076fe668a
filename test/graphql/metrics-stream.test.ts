import { expect, it, onTestFinished } from 'vitest';
import { FiguresBoard } from '../../src/graphql/figures-board.ts';
import { followMetrics } from '../../src/graphql/streams/metrics-stream.ts';
import { Gate } from '../../src/lib/gate.ts';
import { Turns } from '../../src/lib/turns.ts';
import type { FleetFigures } from '../../src/metrics/fleet-figures.ts';
import { eventually } from '../support/eventually.ts';
import { openTempStore } from '../support/temp-store.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

async function board() {
  const temp = await openTempStore();
  onTestFinished(() => temp.close());
  const clock = new VirtualClock();
  const [gate, askedGate] = [new Gate(3), new Gate(1)];
  const figures = new FiguresBoard({ db: temp.store.db, clock, retentionMs: 86_400_000, gate, askedGate });
  const context = { figures, turns: new Turns(100), services: { clock } };
  const begun = clock.now();
  const statements: string[] = [];
  onTestFinished(temp.store.onQuery((sql) => statements.push(sql)));
  /** Reads along; answers when each row was asked for, in ms since the beginning, as it grows. */
  const follow = (intervalMs: number, taken = (_: FleetFigures): Promise<unknown> => Promise.resolve()) => {
    const stream = followMetrics(context, intervalMs);
    const seen: number[] = [];
    void (async () => {
      for await (const row of stream) {
        seen.push(row.range.now - begun);
        await taken(row);
      }
    })();
    onTestFinished(async () => void (await stream.return?.()));
    return { stream, seen };
  };
  /** Moves time on in steps, once what is read at each of them has come. */
  const pass = async (ms: number, step = 100): Promise<void> => {
    for (let at = 0; at < ms; at += step) await clock.advance(step);
  };
  return { clock, context, figures, askedGate, statements, follow, pass };
}

it('a watcher is sent a row at once, and one at every multiple of the interval', async () => {
  const { follow, pass } = await board();
  const { seen } = follow(1000);
  await eventually(() => seen.length === 1);
  for (const n of [2, 3, 4]) {
    await pass(1000);
    await eventually(() => seen.length === n);
  }
  expect(seen).toEqual([0, 1000, 2000, 3000]);
});

it('a slow watcher misses what came due meanwhile, and is then sent what is new', async () => {
  const { follow, pass } = await board();
  const waiting: (() => void)[] = [];
  const { seen } = follow(1000, () => new Promise((resolve) => waiting.push(() => resolve(undefined))));
  await eventually(() => seen.length === 1);
  await pass(3500);
  waiting.shift()?.();
  await pass(400);
  expect(seen).toEqual([0]);
  await pass(100);
  await eventually(() => seen.length === 2);
  expect(seen).toEqual([0, 4000]);
  waiting.shift()?.();
});

it('many who watch share what is read, and each of them every row', async () => {
  const { follow, pass, statements } = await board();
  const totalOf = async (row: FleetFigures): Promise<unknown> => row.outcomesEver();
  const first = follow(1000, totalOf);
  await eventually(() => first.seen.length === 1);
  const alone = statements.length;
  expect(alone).toBeGreaterThan(0);
  const crowd = Array.from({ length: 50 }, () => follow(1000, totalOf));
  await eventually(() => crowd.every(({ seen }) => seen.length === 1));
  expect(statements).toHaveLength(alone);
  await pass(1000);
  await eventually(() => [first, ...crowd].every(({ seen }) => seen.length === 2));
  expect(statements).toHaveLength(2 * alone);
  expect(new Set(crowd.map(({ seen }) => seen.join()))).toEqual(new Set(['0,1000']));
});

it('nothing is read, and no timer waits, once the last watcher has left', async () => {
  const { clock, follow, pass, statements } = await board();
  const { stream, seen } = follow(500);
  await eventually(() => seen.length === 1 && clock.pending === 1);
  await stream.return?.();
  expect(clock.pending).toBe(0);
  const before = statements.length;
  await pass(5000);
  expect(statements).toHaveLength(before);
});

it('while the store is away the stream is quiet, and goes on when it is back', async () => {
  const { clock, context } = await board();
  let away = true;
  const latest = (): FleetFigures => {
    const figures = context.figures.latest();
    const lost = Object.assign(new Error('terminating connection'), { code: '57P01' });
    return away ? ({ ...figures, queue: () => Promise.reject(lost) } as FleetFigures) : figures;
  };
  const figures = { latest } as FiguresBoard;
  const stream = followMetrics({ ...context, figures }, 1000);
  const next = stream.next();
  await eventually(() => clock.pending === 1);
  away = false;
  await clock.advance(1000);
  expect((await next).value?.range.now).toBe(clock.now());
  await stream.return?.();
});

it('a page of panels waits for its turn at the store, and those who watch do not', async () => {
  const { clock, figures, askedGate, statements } = await board();
  const leave = askedGate.pass(() => undefined);
  const now = clock.now();
  const range = { from: now - 3_600_000, to: now, now };
  const panel = () =>
    figures.series({
      ...{ metrics: ['JOBS_COMPLETED' as const], stat: null, intervalMs: null, maxDataPoints: null },
      ...{ groupBy: [], filter: {}, range: { ...range, retentionMs: 86_400_000 } },
    });
  const panels = Promise.all(Array.from({ length: 20 }, panel));
  const row = figures.of(range).outcomes();
  expect(await figures.latest().queue()).toMatchObject({ pending: 0, processing: 0 });
  expect(statements.filter((sql) => sql.includes('metric_series'))).toEqual([]);
  leave();
  expect((await panels).map(({ kind }) => kind)).toEqual(Array(20).fill('read'));
  expect(await row).toEqual({ completed: 0, failed: 0 });
});
