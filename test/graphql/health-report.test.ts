import { describe, expect, it, onTestFinished } from 'vitest';
import { MemoryBus } from '../../src/events/memory-bus.ts';
import { createHealthReporter, type HealthParts } from '../../src/graphql/health-report.ts';
import type { BlobStore } from '../../src/storage/blob-store.ts';
import { openTempStore } from '../support/temp-store.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

async function schedulerCheck(parts: Pick<HealthParts, 'schedulerHealthy' | 'fleetIsLed'>) {
  const temp = await openTempStore();
  onTestFinished(() => temp.close());
  const bus = new MemoryBus();
  await bus.start();
  const storage = { freeBytes: async () => null } as unknown as BlobStore;
  const ground = { store: temp.store, bus, storage, clock: new VirtualClock(), version: '0' };
  const report = await createHealthReporter({ ...ground, ...parts })();
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

  it('is no matter where nobody asks', async () => {
    expect((await schedulerCheck({})).check).toBeUndefined();
  });
});
