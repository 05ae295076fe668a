import { describe, expect, it, onTestFinished } from 'vitest';
import { MemoryBus } from '../../src/events/memory-bus.ts';
import { PANIC_SETTING } from '../../src/fleet/panic.ts';
import { createHealthReporter, type HealthParts } from '../../src/graphql/health-report.ts';
import type { BlobStore } from '../../src/storage/blob-store.ts';
import { type HealthPatch, saveHealth, upsertConfigured } from '../../src/store/instances.ts';
import { savePersistedAt } from '../../src/store/metric-progress.ts';
import type { Store } from '../../src/store/open.ts';
import { saveSetting } from '../../src/store/settings.ts';
import { eventually } from '../support/eventually.ts';
import { openTempStore } from '../support/temp-store.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

type Asked = Pick<HealthParts, 'schedulerHealthy' | 'fleetIsLed'>;

async function reporter(parts: Asked, before: (store: Store) => Promise<void> = async () => undefined) {
  const temp = await openTempStore();
  onTestFinished(() => temp.close());
  await before(temp.store);
  const bus = new MemoryBus();
  await bus.start();
  const storage = { freeBytes: async () => null } as unknown as BlobStore;
  const clock = new VirtualClock();
  const uptimeMs = (): number => clock.monotonic();
  const ground = { store: temp.store, bus, storage, clock, uptimeMs, version: '0' };
  return { clock, store: temp.store, report: createHealthReporter({ ...ground, ...parts }) };
}

async function schedulerCheck(parts: Asked) {
  const report = await (await reporter(parts)).report();
  return { status: report.status, check: report.checks.find(({ name }) => name === 'scheduler') };
}

describe('the health of scheduling', () => {
  it('is well where some process leads, whichever it is', async () => {
    const well = { status: 'DEGRADED', check: { ok: true, message: null } };
    expect(await schedulerCheck({ fleetIsLed: async () => true })).toMatchObject(well);
    expect(await schedulerCheck({ schedulerHealthy: () => true })).toMatchObject(well);
    const standby = { schedulerHealthy: () => true, fleetIsLed: async () => true };
    expect(await schedulerCheck(standby)).toMatchObject(well);
  });

  it('is critical where nobody leads, and says what to do', async () => {
    const nobody = await schedulerCheck({ fleetIsLed: async () => false });
    expect(nobody.status).toBe('CRITICAL');
    expect(nobody.check?.message).toMatch(/start one with ROLE=scheduler/);
  });

  it('is critical where the scheduler of this process does not run, or nobody can tell', async () => {
    const stalled = await schedulerCheck({ schedulerHealthy: () => false, fleetIsLed: async () => true });
    expect(stalled).toMatchObject({ status: 'CRITICAL', check: { ok: false, message: 'it does not run' } });
    const unknown = await schedulerCheck({ fleetIsLed: () => Promise.reject(new Error('away')) });
    expect(unknown.status).toBe('CRITICAL');
    expect(unknown.check?.message).toMatch(/not known/);
  });

  it('is not asked of a store that does not answer', async () => {
    let asked = 0;
    const fleetIsLed = (): Promise<boolean> => {
      asked += 1;
      return new Promise(() => undefined);
    };
    const { report } = await reporter({ fleetIsLed }, async (store) => store.stop());
    const { status, checks } = await report();
    expect(status).toBe('CRITICAL');
    expect(checks).toContainEqual({ name: 'store', ok: false, message: 'the store does not answer' });
    expect(checks.find(({ name }) => name === 'scheduler')?.message).toMatch(/not known/);
    expect(asked).toBe(0);
  });

  it('is not known where a store that just answered hangs, and the report comes all the same', async () => {
    let asked = false;
    const fleetIsLed = (): Promise<boolean> => {
      asked = true;
      return new Promise(() => undefined);
    };
    const { report, clock } = await reporter({ fleetIsLed });
    const reporting = report();
    await eventually(() => asked);
    await clock.advance(10_000);
    const { status, checks } = await reporting;
    expect(status).toBe('CRITICAL');
    expect(checks.find(({ name }) => name === 'scheduler')?.message).toMatch(/not known/);
    expect(clock.pending).toBe(0);
  });

  it('is no matter where nobody asks', async () => {
    expect((await schedulerCheck({})).check).toBeUndefined();
  });
});

describe('the health of the fleet', () => {
  const well: HealthPatch = { health: 'HEALTHY', breaker: 'CLOSED', lastError: null };

  async function fleetOf(patches: readonly HealthPatch[], before?: (store: Store) => Promise<void>) {
    const made = await reporter({}, async (store) => {
      for (const [n, patch] of patches.entries()) {
        const url = `http://gpu${n}:8188`;
        const { id } = await upsertConfigured(
          store.db,
          { id: `i${n}`, name: `gpu${n}`, url, capacity: 1 },
          1,
        );
        await saveHealth(store.db, id, patch, 2);
      }
      await before?.(store);
    });
    return made.report();
  }

  it('is well when every instance answers and gets jobs', async () => {
    const { status, checks } = await fleetOf([well, well]);
    expect(status).toBe('HEALTHY');
    expect(checks.every(({ ok }) => ok)).toBe(true);
  });

  it('is degraded while one is put aside, and says why; critical when all are', async () => {
    const aside: HealthPatch = {
      health: 'HEALTHY',
      breaker: 'OPEN',
      lastError: 'put aside for a while: no end',
    };
    const some = await fleetOf([well, aside]);
    expect(some.status).toBe('DEGRADED');
    const message = 'OPEN: put aside for a while: no end';
    expect(some.checks).toContainEqual({ name: 'instance gpu1', ok: false, message });
    expect((await fleetOf([aside, aside])).status).toBe('CRITICAL');
    expect((await fleetOf([{ ...aside, breaker: 'HALF_OPEN' }])).status).toBe('DEGRADED');
  });

  it('is degraded while much fails on most instances, and says what to suspect', async () => {
    const { status, checks } = await fleetOf([well], (store) => saveSetting(store.db, PANIC_SETTING, '5'));
    expect(status).toBe('DEGRADED');
    const fleet = checks.find(({ name }) => name === 'instances');
    expect(fleet).toMatchObject({
      ok: false,
      message: expect.stringMatching(/1 of 1 answer; .*suspect the jobs/),
    });
    const over = await fleetOf([well], async (store) => {
      await saveSetting(store.db, PANIC_SETTING, '5');
      await saveSetting(store.db, PANIC_SETTING, null);
    });
    expect(over.status).toBe('HEALTHY');
  });
});

describe('the health of the figures', () => {
  const MINUTE = 60_000;

  /** Of a gateway that has been up for so long; `persistedAt`: ms before that moment. */
  async function figuresCheck(upMs: number, persistedMs: number | null, parts: Asked = {}) {
    const asked = { fleetIsLed: async () => true, ...parts };
    const { report, clock, store } = await reporter(asked);
    await clock.advance(upMs);
    if (persistedMs !== null) await savePersistedAt(store.db, clock.now() - persistedMs);
    const { checks } = await report();
    return checks.find(({ name }) => name === 'metrics');
  }

  it('is well while they are at most a minute old, and ill after that, saying what to do', async () => {
    expect(await figuresCheck(10 * MINUTE, MINUTE)).toEqual({ name: 'metrics', ok: true, message: null });
    const stale = await figuresCheck(10 * MINUTE, 2 * MINUTE);
    expect(stale?.ok).toBe(false);
    expect(stale?.message).toMatch(/^for 120 s nothing came .* log of the process that leads/);
    expect((await figuresCheck(10 * MINUTE, null))?.ok).toBe(false);
  });

  it('is given a minute after the start, whatever is left from before', async () => {
    expect((await figuresCheck(MINUTE, 5 * 24 * 60 * MINUTE))?.ok).toBe(true);
    expect((await figuresCheck(0, null))?.ok).toBe(true);
  });

  it('is no matter where nobody leads or nobody knows, since that is said already', async () => {
    expect(await figuresCheck(10 * MINUTE, null, { fleetIsLed: async () => false })).toBeUndefined();
    const unknown = { fleetIsLed: () => Promise.reject(new Error('away')) };
    expect(await figuresCheck(10 * MINUTE, null, unknown)).toBeUndefined();
  });

  it('makes the whole degraded, not critical: jobs go on', async () => {
    const well: HealthPatch = { health: 'HEALTHY', breaker: 'CLOSED', lastError: null };
    const { report, clock } = await reporter({ fleetIsLed: async () => true }, async ({ db }) => {
      await upsertConfigured(db, { id: 'gpu', name: 'gpu', url: 'http://gpu', capacity: 1 }, 1);
      await saveHealth(db, 'gpu', well, 1);
    });
    expect((await report()).status).toBe('HEALTHY');
    await clock.advance(2 * MINUTE);
    expect((await report()).status).toBe('DEGRADED');
  });
});
