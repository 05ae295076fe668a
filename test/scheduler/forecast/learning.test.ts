import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { needsKey } from '../../../src/domain/capabilities.ts';
import { Learning } from '../../../src/scheduler/forecast/learning.ts';
import { saveNeeds } from '../../../src/store/needs.ts';
import type { Db } from '../../../src/store/open.ts';
import { recentRuns } from '../../../src/store/run-times.ts';
import { putRun } from '../../support/run-rows.ts';
import { ENGINES, openTempStore, type TempStore } from '../../support/temp-store.ts';
import { lognormal, quantile, seeded } from './noise.ts';

const FLUX = { nodeTypes: [], models: ['flux.safetensors'] };
const SDXL = { nodeTypes: [], models: ['sdxl.safetensors'] };
const [flux, sdxl] = [needsKey(FLUX), needsKey(SDXL)];
const start = (key: string) => ({ workflow: 'w', needsKey: key, instanceId: 'gpu' });

describe.each(ENGINES)('what a leader learns, on %s', (engine) => {
  let temp: TempStore;
  let told: (readonly string[])[];
  beforeEach(async () => {
    temp = await openTempStore(engine);
    told = [];
    await saveNeeds(temp.store.db, flux, FLUX);
    await saveNeeds(temp.store.db, sdxl, SDXL);
  });
  afterEach(() => temp.close());

  function learning(): Learning {
    return new Learning({
      db: temp.store.db,
      needsOf: () => undefined,
      onLoaded: (_, models) => void told.push(models),
    });
  }

  /** Three runs, the first of which loaded. */
  async function past(loadedModels: readonly string[], upSince: number | null): Promise<void> {
    await putRun(temp.store.db, { n: 1, needsKey: flux, runMs: 9000 });
    await putRun(temp.store.db, { n: 2, needsKey: flux, runMs: 1000 });
    await putRun(temp.store.db, { n: 3, needsKey: flux, runMs: 1000 });
    await temp.store.db
      .updateTable('instances')
      .set({ loaded_models: JSON.stringify(loadedModels), up_since: upSince, last_seen_at: 100_000 })
      .execute();
  }

  it('is what the newest rows say, in the order in which the runs began', async () => {
    await past(FLUX.models, 1);
    expect((await recentRuns(temp.store.db, 2)).map((run) => run.runMs)).toEqual([1000, 1000]);
    const leader = learning();
    await leader.recall();
    expect(leader.loaded('gpu')).toEqual(FLUX.models);
    expect(leader.begins(start(flux))).toMatchObject({ warmth: 'warm', depth: 1, runMs: 1000 });
    expect(leader.estimates.loadMs(start(flux))).toBeCloseTo(8000);
  });

  it.each([
    ['was told to free its memory', [] as string[], 1],
    ['was away when it was last looked at', FLUX.models, null],
  ])('forgets what an instance had that %s', async (_why, loaded, upSince) => {
    await past(loaded, upSince);
    const leader = learning();
    await leader.recall();
    expect(leader.loaded('gpu')).toEqual([]);
  });

  it('forgets what an instance had that comes back, unless only the leader changed', async () => {
    await past(FLUX.models, 1);
    const leader = learning();
    await leader.recall();
    leader.cameBack('gpu', 120_000);
    expect(told.at(-1)).toEqual(FLUX.models);
    leader.cameBack('gpu', 121_000);
    expect(told.at(-1)).toEqual([]);
    const late = learning();
    await late.recall();
    late.cameBack('gpu', 200_000);
    expect(late.loaded('gpu')).toEqual([]);
  });

  it('tells what is loaded when a run begins, and forgets it when memory is freed', async () => {
    await past(FLUX.models, 1);
    const leader = learning();
    await leader.recall();
    await leader.know([sdxl]);
    const expected = leader.begins(start(sdxl));
    expect(expected).toMatchObject({ warmth: 'cold', depth: null, runMs: null });
    expect(told.at(-1)).toEqual(SDXL.models);
    leader.succeeded(expected, 7000);
    expect(leader.estimates.runMs(start(sdxl), 'gpu')).toBe(7000);
    leader.freed('gpu');
    expect(told.at(-1)).toEqual([]);
  });
});

describe('an attempt that ends before it began', () => {
  it('loads nothing: the next job is expected to load', () => {
    const told: (readonly string[])[] = [];
    const leader = new Learning({
      db: NO_ROWS,
      needsOf: (key) => ({ nodeTypes: [], models: [key] }),
      onLoaded: (_, models) => void told.push(models),
    });
    const refused = leader.begins(start('flux'));
    expect(told.at(-1)).toEqual(['flux']);
    leader.didNotBegin(refused);
    expect(told.at(-1)).toEqual([]);
    expect(leader.begins(start('flux'))).toMatchObject({ warmth: 'cold', depth: null });
  });
});

/** Nothing is read: no row of an earlier term is there. */
const NO_ROWS = undefined as unknown as Db;

describe('what an instance has in memory', () => {
  it.each([
    { holds: 1, scatter: 0.25 },
    { holds: 2, scatter: 0.25 },
    { holds: 3, scatter: 0.25 },
    { holds: 2, scatter: 0.4 },
  ])('is found out by run times, where $holds sets fit, with a scatter of $scatter', ({ holds, scatter }) => {
    let right = 0;
    let asked = 0;
    const ratios: number[] = [];
    for (let seed = 1; seed <= 10; seed++) {
      const random = seeded(seed);
      const factor = lognormal(random, scatter);
      const leader = new Learning({
        db: NO_ROWS,
        needsOf: (key) => ({ nodeTypes: [], models: [key] }),
        onLoaded: () => undefined,
      });
      let resident: string[] = [];
      for (let n = 0; n < 400; n++) {
        const model = `m${Math.floor(random() ** 2 * 5)}`;
        const isWarm = resident.includes(model);
        resident = [model, ...resident.filter((other) => other !== model)].slice(0, holds);
        const expected = leader.begins(start(model));
        leader.succeeded(expected, 10_000 * factor() + (isWarm ? 0 : 12_000 * factor()));
        if (n < 100) continue;
        asked++;
        if ((expected.warmth === 'warm') === isWarm) right++;
        ratios.push((leader.estimates.runMs(start(model)) ?? 0) / 10_000);
      }
    }
    expect(right / asked).toBeGreaterThanOrEqual(0.95);
    // slow runs are not taken for loads, nor fast loads for runs
    expect(quantile(ratios, 0.5)).toBeGreaterThan(0.9);
    expect(quantile(ratios, 0.5)).toBeLessThan(1.15);
  });
});
