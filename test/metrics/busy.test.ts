import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { cellOf } from '../../src/domain/metric-cell.ts';
import type { MetricFact } from '../../src/domain/metric-fact.ts';
import { busyShare, readBusy, readUtilization } from '../../src/metrics/busy.ts';
import { Increments } from '../../src/metrics/increments.ts';
import { readSeries } from '../../src/metrics/series/metric-series.ts';
import { coverage } from '../../src/metrics/window.ts';
import { addToRollups } from '../../src/store/rollups.ts';
import { faultToColumns } from '../../src/store/rows.ts';
import { foldFacts } from '../support/fold-facts.ts';
import { putInstances } from '../support/instance-rows.ts';
import { putJob } from '../support/job-rows.ts';
import { ENGINES, type EngineName, openTempStore } from '../support/temp-store.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;
/** Half past a minute. */
const NOW = Math.floor(1_700_000_000_000 / MINUTE) * MINUTE + 30_000;
const RANGE = { from: NOW - 10 * MINUTE, to: NOW, now: NOW, retentionMs: 365 * DAY };

const onGpu = (instanceId: string, msAgo: number, runMs: number): MetricFact => ({
  ...{ kind: 'attempt-ended', tenant: 'a', workflow: 'draw', at: NOW - msAgo, instanceId, runMs },
  ...{ outcome: 'SUCCEEDED', code: null, counted: true },
});

/** `heard`: answered a probe a minute ago. `open`: run since so many ms. */
async function fleet(engine: EngineName, { facts = [], heard = [], open = {} }: Partial<Fleet>) {
  const temp = await openTempStore(engine);
  onTestFinished(() => temp.close());
  const { store } = temp;
  await putInstances(store.db, { gpu1: 'gpu1', gpu2: 'gpu2', gpu3: 'gpu3' });
  await foldFacts(store, new VirtualClock(NOW), facts);
  const samples = new Increments({ now: NOW, retentionMs: 365 * DAY });
  for (const instance of heard)
    samples.at('response_time', { instance }, NOW - MINUTE, cellOf(5, NOW - MINUTE));
  await store.transaction((tx) => addToRollups(tx, samples.all()));
  for (const [instance, ms] of Object.entries(open)) {
    await putJob(store.db, { id: `job on ${instance}`, status: 'PROCESSING', instance });
    await store.db
      .insertInto('attempts')
      .values({
        ...{ id: `on ${instance}`, job_id: `job on ${instance}`, tenant: 'a', number: 1, slot: 0, term: 1 },
        ...{ instance_id: instance, instance_name: instance, state: 'RUNNING', outcome: null, charged: 1 },
        ...{ deadline_at: NOW + DAY, started_at: NOW - ms, running_at: NOW - ms, finished_at: null },
        ...{ run_ms: null, workflow: 'draw', ...faultToColumns(null) },
      })
      .execute();
  }
  return store.db;
}

interface Fleet {
  readonly facts: readonly MetricFact[];
  readonly heard: readonly string[];
  readonly open: Readonly<Record<string, number>>;
}

it('a share of time is 0 to 1, of what has passed', () => {
  expect(busyShare(30_000, NOW - MINUTE, NOW, NOW)).toBe(0.5);
  expect(busyShare(30_000, NOW - MINUTE, NOW + MINUTE, NOW)).toBe(0.5);
  expect(busyShare(0, NOW, NOW + MINUTE, NOW)).toBe(0);
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.nat(), fc.nat(), (ms, from, to, now) => {
      const share = busyShare(ms, from, to, now);
      expect(share).toBeGreaterThanOrEqual(0);
      expect(share).toBeLessThanOrEqual(1);
    }),
  );
});

describe.each(ENGINES)('busy time on %s', (engine) => {
  it('has what runs now, in each point that it touches', async () => {
    const db = await fleet(engine, { open: { gpu1: 100_000 }, facts: [onGpu('gpu1', 110_000, 10_000)] });
    const pieces = coverage(RANGE, MINUTE);
    const times = await readBusy(db, { pieces, pointMs: MINUTE, now: NOW });

    const inPoints = new Map(times.map(({ at, ms }) => [at - NOW, ms]));
    // ten seconds that ended, ten of the run, then all of a minute and half of the next
    expect(inPoints).toEqual(
      new Map([
        [-150_000, 20_000],
        [-90_000, 60_000],
        [-30_000, 30_000],
      ]),
    );
    const [all] = await readBusy(db, { pieces, pointMs: null, now: NOW });
    expect(all).toEqual({ at: 0, instance: 'gpu1', ms: 110_000 });
    expect(await readBusy(db, { pieces, pointMs: null, now: NOW, instances: ['gpu2'] })).toEqual([]);
  });

  it('is 0 of who answered and did nothing, and absent of who was not heard of', async () => {
    const db = await fleet(engine, { heard: ['gpu1', 'gpu2'], facts: [onGpu('gpu1', 60_000, 60_000)] });
    const shares = await readUtilization(db, RANGE);
    expect([...shares.keys()].sort()).toEqual(['gpu1', 'gpu2']);
    expect(shares.get('gpu1')).toBeCloseTo(0.1, 5);
    expect(shares.get('gpu2')).toBe(0);
  });

  it('never is more than the time there is, also where a clock or two runs at once say so', async () => {
    const twice = [onGpu('gpu1', 0, 8 * MINUTE), onGpu('gpu1', 0, 8 * MINUTE)];
    const db = await fleet(engine, { facts: twice, open: { gpu2: DAY } });
    expect(await readUtilization(db, RANGE)).toEqual(
      new Map([
        ['gpu1', 1],
        ['gpu2', 1],
      ]),
    );
  });

  it('makes INSTANCE_BUSY: of each instance, or the mean of those that were heard of', async () => {
    const facts = [onGpu('gpu1', 30_000, 30_000)];
    const db = await fleet(engine, { heard: ['gpu1', 'gpu2'], open: { gpu3: 90_000 }, facts });
    const ask = async (more: { readonly groupBy?: readonly 'INSTANCE'[]; readonly instances?: string[] }) => {
      const { groupBy = [], instances } = more;
      const answer = await readSeries(db, {
        ...{ metrics: ['INSTANCE_BUSY'], stat: null, intervalMs: MINUTE, maxDataPoints: null, groupBy },
        range: { ...RANGE, from: NOW - 90_000 },
        filter: instances ? { instances } : {},
      });
      if (answer.kind === 'refused') throw new Error(answer.message);
      return answer.series.map(({ labels, points }) => [labels.instance, points.map(({ value }) => value)]);
    };
    expect(await ask({ groupBy: ['INSTANCE'] })).toEqual([
      ['gpu1', [0.5, null]],
      ['gpu2', [0, null]],
      ['gpu3', [1, 1]],
    ]);
    expect(await ask({})).toEqual([[undefined, [0.5, 1]]]);
    expect(await ask({ instances: ['gpu1', 'gpu2'] })).toEqual([[undefined, [0.25, null]]]);
  });
});
