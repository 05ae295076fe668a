import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Cell, quantile } from '../../src/domain/metric-cell.ts';
import type { MetricFact } from '../../src/domain/metric-fact.ts';
import { Gate } from '../../src/lib/gate.ts';
import { FleetFigures } from '../../src/metrics/fleet-figures.ts';
import { removeInstance, saveHealth, upsertConfigured } from '../../src/store/instances.ts';
import type { Store } from '../../src/store/open.ts';
import { faultToColumns } from '../../src/store/rows.ts';
import { foldFacts } from '../support/fold-facts.ts';
import { putJob } from '../support/job-rows.ts';
import { ENGINES, type EngineName, openTempStore } from '../support/temp-store.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { facts as anyFacts } from './facts.ts';

const MINUTE = 60_000;
const HOUR = 3_600_000;
const YEAR = 365 * 24 * HOUR;
const NOW = 1_700_000_000_000;
const viewer = { tenant: 'a', user: null };

type Ended = Extract<MetricFact, { kind: 'ended' }>;

const common = { tenant: 'a', workflow: 'draw' } as const;
const ended = (minutesAgo: number, more: Partial<Ended>): Ended => ({
  ...{ kind: 'ended', ...common, at: NOW - minutesAgo * MINUTE, status: 'COMPLETED' },
  ...{ instanceId: 'gpu1', code: null, message: null, runMs: 0, ...more },
});
const failed = (minutesAgo: number, more: Partial<Ended>) =>
  ended(minutesAgo, { status: 'FAILED', code: 'NODE_FAILED', message: 'a node failed', ...more });
const onGpu = (minutesAgo: number, instanceId: string, runMs: number): MetricFact => ({
  ...{ kind: 'attempt-ended', ...common, at: NOW - minutesAgo * MINUTE, instanceId, runMs },
  ...{ outcome: 'FAILED', code: 'NODE_FAILED', counted: false },
});
const started = (minutesAgo: number, queueMs: number): MetricFact => ({
  ...{ kind: 'started', ...common, at: NOW - minutesAgo * MINUTE, instanceId: 'gpu1', queueMs },
});

/** gpu1 works, gpu2 does not, gpu3 was removed, and of `ghost` nothing is left. */
const FACTS: readonly MetricFact[] = [
  ended(1, { runMs: 1000 }),
  ended(2, { runMs: 2000 }),
  ended(50, { runMs: 3000 }),
  ended(20, { instanceId: 'gpu3', workflow: 'upscale', runMs: 8000 }),
  ended(30, { instanceId: 'ghost', runMs: 4000 }),
  ended(40, { status: 'CANCELED', runMs: null }),
  failed(3, { code: 'OUT_OF_MEMORY', message: 'the instance ran out of memory', runMs: 500 }),
  failed(6, { instanceId: 'gpu3', workflow: 'upscale', message: 'the newer one' }),
  failed(9, { instanceId: 'gpu3', workflow: 'upscale', message: 'the older one' }),
  failed(5, { instanceId: null, code: 'DEADLINE_EXCEEDED', message: 'too late', runMs: null }),
  // before the hour
  ended(120, { runMs: 77_000 }),
  failed(150, { instanceId: 'gpu3', message: 'long ago' }),
  // three minutes on gpu3, half of them before the hour
  onGpu(58.5, 'gpu3', 3 * MINUTE),
  onGpu(10, 'gpu1', 5 * MINUTE),
  started(4, 100),
  started(7, 300),
];

async function fleet(engine: EngineName, facts: readonly MetricFact[] = FACTS) {
  const temp = await openTempStore(engine);
  onTestFinished(() => temp.close());
  const { store } = temp;
  const clock = new VirtualClock(NOW);
  for (const id of ['gpu1', 'gpu2', 'gpu3'])
    await upsertConfigured(store.db, { id, name: `the ${id}`, url: `http://${id}`, capacity: 1 }, 1);
  await saveHealth(store.db, 'gpu1', { health: 'HEALTHY' }, 1);
  await removeInstance(store.db, 'gpu3', NOW - MINUTE);
  await foldFacts(store, clock, facts);
  const figures = (from = NOW - HOUR, to = NOW): FleetFigures =>
    new FleetFigures({ db: store.db }, { from, to, now: NOW, retentionMs: YEAR });
  return { store, figures };
}

/** Runs on gpu1 since then. */
async function putOpenAttempt(store: Store, runningAt: number): Promise<void> {
  await putJob(store.db, { id: 'runs', status: 'PROCESSING', instance: 'gpu1' });
  await store.db
    .insertInto('attempts')
    .values({
      ...{ id: 'open', job_id: 'runs', tenant: 'a', number: 1, instance_id: 'gpu1', instance_name: 'gpu1' },
      ...{ slot: 0, term: 1, state: 'RUNNING', outcome: null, charged: 1, deadline_at: NOW + HOUR },
      ...{ started_at: runningAt, running_at: runningAt, finished_at: null, run_ms: null, workflow: 'draw' },
      ...faultToColumns(null),
    })
    .execute();
}

const sumOf = ({ count, sum }: Cell) => ({ count, sum });

describe.each(ENGINES)('the figures of the fleet on %s', (engine) => {
  it('count what ended, of the range and of all time', async () => {
    const { figures } = await fleet(engine);
    expect(await figures().outcomes()).toEqual({ completed: 5, failed: 4 });
    expect(await figures().outcomesEver()).toEqual({ completed: 6, failed: 5 });
    expect(await figures().jobsPerHour()).toBe(9);
    expect(await figures(NOW - 3 * HOUR, NOW).jobsPerHour()).toBeCloseTo(11 / 3, 1);
    expect(await figures(NOW - 3 * HOUR, NOW - HOUR).outcomes()).toEqual({ completed: 1, failed: 1 });
    expect(await figures().persistedAt()).toBe(NOW);
  });

  it('say jobs per hour of the time that was asked for, or of the wide buckets that hold it', async () => {
    const month = 30 * 24 * 60;
    const { figures } = await fleet(engine, [ended(1, {}), ended(2, {}), ended(month, {})]);
    expect(await figures(NOW - 12 * MINUTE + 3000, NOW).jobsPerHour()).toBeCloseTo(2 / (0.2 - 3 / 3600), 9);
    // of ten minutes a month ago all that is known is how many there were in the whole hour
    const then = NOW - month * MINUTE;
    expect(await figures(then - 5 * MINUTE, then + 5 * MINUTE).jobsPerHour()).toBe(1);
    // what is asked of the time before figures are kept, or after now, does not count
    expect(await figures(NOW - 3 * YEAR, NOW + YEAR).jobsPerHour()).toBeCloseTo(3 / (365 * 24), 5);
  });

  it('know how long jobs waited and ran, of those that completed', async () => {
    const { figures } = await fleet(engine);
    const run = await figures().runTime();
    expect(sumOf(run)).toEqual({ count: 5, sum: 18_000 });
    expect(quantile(run, 1)).toBe(8000);
    expect(Math.abs((quantile(run, 0.5) ?? 0) - 3000)).toBeLessThan(3000 * 0.045);
    expect(sumOf(await figures().queueTime())).toEqual({ count: 2, sum: 400 });
  });

  it('tell instances apart, those that are gone too, and those that did nothing', async () => {
    const { figures, store } = await fleet(engine);
    await putOpenAttempt(store, NOW - MINUTE);
    const hour = figures();
    const rows = await hour.byInstance();
    expect(rows).toEqual([
      { key: 'ghost', name: 'ghost', outcomes: { completed: 1, failed: 0 } },
      { key: 'gpu1', name: 'the gpu1', outcomes: { completed: 3, failed: 1 } },
      { key: 'gpu2', name: 'the gpu2', outcomes: { completed: 0, failed: 0 } },
      { key: 'gpu3', name: 'the gpu3', outcomes: { completed: 1, failed: 2 } },
    ]);
    expect(sumOf(await hour.runTimeOf('instance', 'gpu1'))).toEqual({ count: 3, sum: 6000 });
    expect((await hour.runTimeOf('instance', 'gpu2')).count).toBe(0);
    expect(await hour.utilizationOf('gpu1')).toBeCloseTo(6 / 60);
    expect(await hour.utilizationOf('gpu3')).toBeCloseTo(1.5 / 60);
    expect(await hour.utilizationOf('gpu2')).toBe(0);
  });

  it('tell workflows apart', async () => {
    const { figures } = await fleet(engine);
    const hour = figures();
    expect(await hour.byWorkflow()).toEqual([
      { key: 'draw', name: 'draw', outcomes: { completed: 4, failed: 2 } },
      { key: 'upscale', name: 'upscale', outcomes: { completed: 1, failed: 2 } },
    ]);
    expect(sumOf(await hour.runTimeOf('workflow', 'draw'))).toEqual({ count: 4, sum: 10_000 });
  });

  it('say why jobs failed, how often, where, and what was said last', async () => {
    const { figures } = await fleet(engine);
    const share = (count: number) => ({ count, rate: count / 9 });
    expect(await figures().errors()).toEqual([
      {
        ...{ code: 'NODE_FAILED', instance: 'the gpu3', workflow: 'upscale', ...share(2) },
        ...{ lastAt: NOW - 6 * MINUTE, lastMessage: 'the newer one' },
      },
      {
        ...{ code: 'OUT_OF_MEMORY', instance: 'the gpu1', workflow: 'draw', ...share(1) },
        ...{ lastAt: NOW - 3 * MINUTE, lastMessage: 'the instance ran out of memory' },
      },
      {
        ...{ code: 'DEADLINE_EXCEEDED', instance: null, workflow: 'draw', ...share(1) },
        ...{ lastAt: NOW - 5 * MINUTE, lastMessage: 'too late' },
      },
    ]);
  });

  it('say something of a failure also when the newest of its kind is known no more', async () => {
    const { figures, store } = await fleet(engine, [failed(6, { code: 'TIMEOUT', message: 'slow' })]);
    await store.db.deleteFrom('metric_failures').execute();
    expect(await figures().errors()).toMatchObject([
      { lastAt: NOW, lastMessage: 'the attempt ran longer than its timeout', rate: 1 },
    ]);
  });

  it('list the jobs of the viewer that failed in the range, newest failure first', async () => {
    const { figures, store } = await fleet(engine, []);
    const put = (id: string, minutesAgo: number, tenant = 'a', status = 'FAILED' as const) =>
      putJob(store.db, { id, tenant, status, finishedAt: NOW - minutesAgo * MINUTE });
    await put('one', 30);
    await put('two', 20);
    await put('three', 10);
    await put('before', 90);
    await put('of another', 5, 'b');
    await putJob(store.db, { id: 'went well', status: 'COMPLETED', finishedAt: NOW - 1 });
    const idsOf = async (first: number) => (await figures().failures(viewer, first)).map(({ id }) => id);
    expect(await idsOf(10)).toEqual(['three', 'two', 'one']);
    expect(await idsOf(2)).toEqual(['three', 'two']);
  });

  it('are nothing, and no nonsense, of an empty gateway', async () => {
    const { figures } = await fleet(engine, []);
    const hour = figures();
    expect(await hour.outcomes()).toEqual({ completed: 0, failed: 0 });
    expect(await hour.outcomesEver()).toEqual({ completed: 0, failed: 0 });
    expect(await hour.jobsPerHour()).toBe(0);
    expect(await figures(NOW - 3 * YEAR, NOW - 2 * YEAR).jobsPerHour()).toBe(0);
    expect((await hour.runTime()).count).toBe(0);
    expect(await hour.byWorkflow()).toEqual([]);
    expect(await hour.errors()).toEqual([]);
    expect((await hour.byInstance()).map(({ key }) => key)).toEqual(['gpu1', 'gpu2']);
  });

  it('are read once for all who ask, and only what is asked for', async () => {
    const { store } = await fleet(engine);
    const statements: string[] = [];
    const gate = new Gate(1);
    const source = { db: store.db, gate };
    const hour = new FleetFigures(source, { from: NOW - HOUR, to: NOW, now: NOW, retentionMs: YEAR });
    onTestFinished(store.onQuery((sql) => statements.push(sql)));
    await Promise.all([hour.queue(), hour.queue(), hour.failures(viewer, 10), hour.failures(viewer, 10)]);
    expect(statements).toHaveLength(2);
    await Promise.all([hour.errors(), hour.byInstance(), hour.byWorkflow(), hour.jobsPerHour()]);
    const all = statements.length;
    await Promise.all([hour.errors(), hour.byInstance(), hour.outcomes(), hour.utilizationOf('gpu1')]);
    expect(statements).toHaveLength(all);
  });
});

describe('the figures of any facts and any range', () => {
  it('add up: instances, workflows and errors come to as much as the whole', async () => {
    const moments = fc.tuple(fc.integer({ min: 1, max: 70 * 24 * 60 }), fc.integer({ min: 0, max: 2000 }));
    await fc.assert(
      fc.asyncProperty(anyFacts(NOW, 60), moments, async (facts, [begin, end]) => {
        const { figures } = await fleet('SQLite', facts);
        const range = figures(NOW - begin * MINUTE, NOW - Math.min(begin - 1, end) * MINUTE);
        const whole = await range.outcomes();
        const sum = (rows: readonly { readonly outcomes: typeof whole }[]) => ({
          completed: rows.reduce((total, { outcomes }) => total + outcomes.completed, 0),
          failed: rows.reduce((total, { outcomes }) => total + outcomes.failed, 0),
        });
        expect(sum(await range.byWorkflow())).toEqual(whole);
        const parts = sum(await range.byInstance());
        expect(parts.completed).toBeLessThanOrEqual(whole.completed);
        const errors = await range.errors();
        expect(errors.reduce((total, { count }) => total + count, 0)).toBe(whole.failed);
        for (const { rate } of errors) expect(rate > 0 && rate <= 1).toBe(true);
        expect((await range.runTime()).count).toBeLessThanOrEqual(whole.completed);
      }),
      { numRuns: 25 },
    );
  }, 30_000);
});
