import { beforeEach, describe, expect, it, vi } from 'vitest';
import { MemoryBus } from '../../src/events/memory-bus.ts';
import { InstanceRow } from '../../src/fleet/instance-row.ts';
import { present } from '../../src/lib/assert.ts';
import { type HealthPatch, insertAdded, saveHealth } from '../../src/store/instances.ts';
import { flush, VirtualClock } from '../support/virtual-clock.ts';
import { tempStore } from './fleet-rig.ts';

vi.mock('../../src/store/instances.ts', { spy: true });
const writes = vi.mocked(saveHealth);
beforeEach(() => void writes.mockReset());

async function row() {
  const { store } = await tempStore();
  const added = { id: 'i', url: 'http://127.0.0.1:1', name: 'gpu', capacity: 1, login: null };
  const instance = present(await insertAdded(store.db, added, 0), 'the instance');
  return new InstanceRow({ store, bus: new MemoryBus(), clock: new VirtualClock() }, instance, null);
}

const patches = (): HealthPatch[] => writes.mock.calls.map(([, , patch]) => patch);

describe('the row of an instance', () => {
  it('gets what a failed write left out with the next one, though that brings no news', async () => {
    const one = await row();
    await one.save({ health: 'HEALTHY', lastSeenAt: 1 });
    writes.mockRejectedValueOnce(new Error('the database is away'));
    await expect(one.save({ loadedModels: ['a'] })).rejects.toThrow('away');
    await one.save({ health: 'HEALTHY', lastSeenAt: 2 });
    expect(patches().at(-1)).toEqual({ health: 'HEALTHY', lastSeenAt: 2, loadedModels: ['a'] });
    await one.save({ health: 'HEALTHY', lastSeenAt: 3 });
    expect(writes).toHaveBeenCalledTimes(3);
  });

  it('is written by one write after the other, however slow they are', async () => {
    const one = await row();
    let end = (): void => undefined;
    writes.mockImplementationOnce(() => new Promise((resolve) => (end = () => resolve(null))));
    const first = one.save({ loadedModels: ['1'] });
    await flush();
    const others = [2, 3].map((n) => one.save({ loadedModels: [`${n}`] }));
    await flush();
    expect(patches()).toEqual([{ loadedModels: ['1'] }]);
    end();
    await Promise.all([first, ...others]);
    expect(patches()).toEqual([{ loadedModels: ['1'] }, { loadedModels: ['3'] }]);
  });
});
