import { describe, expect, it, onTestFinished } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { createGauges } from '../../src/metrics/gauges.ts';
import { saveHealth, upsertConfigured } from '../../src/store/instances.ts';
import { type Piece, type PointsQuery, readPoints } from '../../src/store/rollup-points.ts';
import { eventually } from '../support/eventually.ts';
import { ENGINES, openTempStore } from '../support/temp-store.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** The beginning of a minute. */
const NOW = 1_700_000_040_000;

describe.each(ENGINES)('gauges on %s', (engine) => {
  async function open(mayRun = () => true) {
    const temp = await openTempStore(engine);
    onTestFinished(() => temp.close());
    const { store } = temp;
    for (const id of ['up', 'down'])
      await upsertConfigured(store.db, { id, name: id, url: `http://${id}:8188`, capacity: 1 }, 1);
    await saveHealth(
      store.db,
      'up',
      { health: 'HEALTHY', responseMs: 12, vramTotalBytes: 24e9, vramFreeBytes: 4e9 },
      NOW,
    );
    await saveHealth(store.db, 'down', { health: 'UNHEALTHY', responseMs: 3000 }, NOW);
    const clock = new VirtualClock(NOW);
    const gauges = createGauges({ store, clock, logger: createLogger('silent'), mayRun });
    onTestFinished(() => gauges.stop());
    const read = ({ width = 10_000, to = 2e12, ...query }: Partial<PointsQuery & Piece>) =>
      readPoints(store.db, {
        ...{ measure: 'queue_depth', cut: 'fleet', pieces: [{ width, from: 0, to }], pointMs: null, by: [] },
        ...{ last: true, ...query },
      });
    return { gauges, clock, read };
  }

  it('are sampled every five seconds, also what is zero; of instances that answer', async () => {
    const { gauges, clock, read } = await open();
    await gauges.start();
    const samples = async (): Promise<number | undefined> => (await read({}))[0]?.cell.count;
    await eventually(async () => (await samples()) === 1, { what: 'the first sample' });
    await clock.advance(5000);
    await eventually(async () => (await samples()) === 2, { what: 'the second sample' });
    expect((await read({}))[0]?.cell).toMatchObject({ sum: 0, min: 0, max: 0, last: 0, lastAt: NOW + 5000 });
    expect((await read({ measure: 'instances_healthy' }))[0]?.cell).toMatchObject({ min: 1, max: 1 });
    const by = ['instance'] as const;
    const times = await read({ measure: 'response_time', cut: 'instance', by });
    expect(times.map(({ key, cell }) => [key.instance, cell.last])).toEqual([['up', 12]]);
    expect((await read({ measure: 'vram_used' }))[0]?.cell.last).toBe(20e9);
  });

  it('fill wider buckets once these end, or when the process stops', async () => {
    const { gauges, clock, read } = await open();
    await gauges.start();
    const minute = async (): Promise<number | undefined> => (await read({ width: 60_000 }))[0]?.cell.count;
    for (let n = 1; n <= 12; n++) {
      const count = n;
      await eventually(async () => (await read({}))[0]?.cell.count === count, { what: `sample ${n}` });
      if (n === 12) expect(await minute()).toBeUndefined();
      await clock.advance(5000);
    }
    await eventually(async () => (await minute()) === 12, { what: 'the minute that ended' });
    await gauges.stop();
    expect(await minute()).toBe(13);
    expect((await read({ width: 86_400_000 }))[0]?.cell.count).toBe(13);
    expect(await read({ width: 0, to: 1 })).toEqual([]);
  });

  it('are not sampled by a process that does not lead', async () => {
    const { gauges, clock, read } = await open(() => false);
    await gauges.start();
    await clock.advance(20_000);
    await gauges.stop();
    expect(await read({})).toEqual([]);
  });
});
