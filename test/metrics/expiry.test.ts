import { describe, expect, it, onTestFinished } from 'vitest';
import { countOf } from '../../src/domain/metric-cell.ts';
import { keptFrom } from '../../src/domain/metric-kept.ts';
import { WIDTHS, type Width } from '../../src/domain/metric-measure.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { createExpiry } from '../../src/metrics/expiry.ts';
import { removeInstance, upsertConfigured } from '../../src/store/instances.ts';
import { noteFailures } from '../../src/store/metric-failures.ts';
import { addUsage } from '../../src/store/metric-usage.ts';
import { addToRollups, type Increment } from '../../src/store/rollups.ts';
import { ENGINES, openTempStore } from '../support/temp-store.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const DAY = 86_400_000;
const NOW = 1_700_000_000_000;
const RETENTION_MS = 30 * DAY;

describe.each(ENGINES)('figures that are kept no more on %s', (engine) => {
  async function open(mayRun = () => true) {
    const temp = await openTempStore(engine);
    onTestFinished(() => temp.close());
    const clock = new VirtualClock(NOW);
    const logger = createLogger('silent');
    const expiry = createExpiry({ store: temp.store, clock, logger, retentionMs: RETENTION_MS, mayRun });
    const { db } = temp.store;
    return {
      ...{ store: temp.store, db },
      add: (...increments: Increment[]) => temp.store.transaction((tx) => addToRollups(tx, increments)),
      /** Carries a round out; its pauses are the clock's. */
      async round(): Promise<void> {
        let over = false;
        const done = expiry.round().finally(() => {
          over = true;
        });
        while (!over) await clock.advance(10);
        await done;
      },
      cells: () => db.selectFrom('metric_rollups').select(['width_ms', 'bucket']).execute(),
      series: () => db.selectFrom('metric_series').select(['instance']).execute(),
    };
  }
  const ended = (instance: string, width: Width, bucket: number): Increment => ({
    series: { measure: 'ended', cut: 'instance', key: { instance, status: 'COMPLETED', code: '' } },
    ...{ width, bucket, cell: countOf(1) },
  });

  it('go by the width of their buckets, however many there are, and nothing that may still be read', async () => {
    const { add, round, cells } = await open();
    const kept: string[] = [];
    for (const width of WIDTHS) {
      const oldest = width === 0 ? 0 : Math.ceil(keptFrom(width, NOW, RETENTION_MS) / width) * width;
      const buckets = width === 0 ? [0] : Array.from({ length: 800 }, (_, n) => oldest + (100 - n) * width);
      await add(...buckets.map((bucket) => ended('i', width, bucket)));
      kept.push(...buckets.filter((bucket) => bucket >= oldest).map((bucket) => `${width} ${bucket}`));
    }
    await round();
    const left = new Set((await cells()).map(({ width_ms, bucket }) => `${width_ms} ${bucket}`));
    for (const place of kept) expect(left).toContain(place);
    // of the next ones a few more may be there: readers that asked just before
    expect(left.size - kept.length).toBeLessThan(4 * 7);
  });

  it('go with the series that have no cells, and with usage and failures', async () => {
    const { db, store, add, round, series } = await open();
    await add(...Array.from({ length: 700 }, (_, n) => ended(`old${n}`, 60_000, NOW - 3 * DAY)));
    await add(ended('here', 60_000, NOW - 60_000));
    const usage = { tenant: 't', workflow: 'w', jobs: 1, gpu_ms: 1, counted_gpu_ms: 1 };
    await addUsage(db, [
      { ...usage, day: NOW - (NOW % DAY) },
      ...Array.from({ length: 700 }, (_, n) => ({
        ...usage,
        workflow: `w${n}`,
        day: NOW - (NOW % DAY) - 40 * DAY,
      })),
    ]);
    const failure = { instance: 'i', workflow: 'w', last_message: '' };
    await noteFailures(db, [
      { ...failure, code: 'TIMEOUT', last_at: NOW - 40 * DAY },
      { ...failure, code: 'NODE_FAILED', last_at: NOW - DAY },
    ]);
    await round();
    expect(await series()).toEqual([{ instance: 'here' }]);
    expect(await db.selectFrom('metric_usage').select('day').execute()).toHaveLength(1);
    expect(await store.db.selectFrom('metric_failures').select('code').execute()).toEqual([
      { code: 'NODE_FAILED' },
    ]);
  });

  it('are of all time only where the instance left long ago', async () => {
    const { db, add, round, series } = await open();
    for (const id of ['left-long-ago', 'left', 'here']) {
      await upsertConfigured(db, { id, name: id, url: `http://${id}:8188`, capacity: 1 }, 1);
      await add(ended(id, 0, 0));
    }
    await removeInstance(db, 'left-long-ago', NOW - 40 * DAY);
    await removeInstance(db, 'left', NOW - DAY);
    await round();
    expect((await series()).map(({ instance }) => instance).sort()).toEqual(['here', 'left']);
  });

  it('stay while another process is the one to let them go', async () => {
    const { add, round, cells } = await open(() => false);
    await add(ended('i', 10_000, NOW - DAY));
    await round();
    expect(await cells()).toHaveLength(1);
  });
});
