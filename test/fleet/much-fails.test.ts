import { describe, expect, it } from 'vitest';
import type { Fleet } from '../../src/fleet/fleet.ts';
import { PANIC_SETTING } from '../../src/fleet/panic.ts';
import { findSetting } from '../../src/store/settings.ts';
import { eventually } from '../support/eventually.ts';
import { SOURCE, simulator, startFleet, tempStore } from './fleet-rig.ts';

const states = (fleet: Fleet) => fleet.instances().map((one) => one.breaker);
const aside = (fleet: Fleet): number => states(fleet).filter((state) => state !== 'CLOSED').length;

/** Four instances whose worker is dead, so that no canary ever decides anything. */
async function fourUndecided() {
  const simulators = await Promise.all([1, 2, 3, 4].map(() => simulator({ faults: { workerDead: true } })));
  const temp = await tempStore();
  const config = { canaryTimeoutMs: 60_000 };
  const fleet = await startFleet(
    temp,
    simulators.map((one) => one.url),
    { config },
  );
  await eventually(() => fleet.instances().every((one) => one.answering));
  return { simulators, temp, fleet };
}

let jobs = 0;

function failTwice(fleet: Fleet, index: number, tenant = `tenant ${index}`): void {
  const source = { tenant, workflow: 'txt2img', needsKey: 'n' };
  for (let n = 0; n < 2; n++) {
    fleet
      .members()
      [index]?.experienced({ kind: 'quick-failure', jobId: `${jobs++}`, reason: 'ValueError' }, source);
  }
}

describe('a fleet on which jobs fail everywhere', () => {
  it('puts aside no more than half of itself, says so, and tells other processes', async () => {
    const { fleet, temp } = await fourUndecided();
    failTwice(fleet, 0);
    failTwice(fleet, 1);
    expect([aside(fleet), fleet.isPanic]).toEqual([2, false]);
    let told = 0;
    fleet.listen({ onPanic: () => told++ });
    failTwice(fleet, 2);
    failTwice(fleet, 3);
    expect([aside(fleet), fleet.isPanic, told]).toEqual([2, true, 1]);
    expect(fleet.instances()[3]?.instance.lastError).toMatch(/^still used, as too many are put aside/);
    await eventually(async () => (await findSetting(temp.store.db, PANIC_SETTING)) !== null);
    // what is certain is not capped
    fleet.members()[3]?.experienced({ kind: 'fault', reason: 'it crashed' }, SOURCE);
    expect(aside(fleet)).toBe(3);
  });

  it('is in no panic while only the jobs of one kind and tenant fail', async () => {
    const { fleet } = await fourUndecided();
    for (const index of [0, 1, 2, 3]) failTwice(fleet, index, 'acme');
    expect([aside(fleet), fleet.isPanic]).toEqual([2, false]);
    failTwice(fleet, 3, 'umbrella');
    expect(fleet.isPanic).toBe(true);
  });

  it('takes back one that is aside when the others go away', async () => {
    const { fleet, simulators } = await fourUndecided();
    failTwice(fleet, 0);
    failTwice(fleet, 1);
    await Promise.all([simulators[2]?.control.crash(), simulators[3]?.control.crash()]);
    await eventually(() => fleet.instances().filter((one) => one.answering).length === 2);
    // of two that answer, one may be aside: the one that was last
    await eventually(() => states(fleet)[0] === 'CLOSED');
    expect(states(fleet)[1]).toBe('HALF_OPEN');
  });

  it('begins a new term without what an earlier one said', async () => {
    const { fleet, temp } = await fourUndecided();
    for (const index of [0, 1, 2, 3]) failTwice(fleet, index);
    await eventually(async () => (await findSetting(temp.store.db, PANIC_SETTING)) !== null);
    await fleet.stop();
    await fleet.start();
    expect(await findSetting(temp.store.db, PANIC_SETTING)).toBeNull();
    expect(fleet.isPanic).toBe(false);
  });

  it('leaves no panic behind that begins while it stops', async () => {
    const { fleet } = await fourUndecided();
    const stopping = fleet.stop();
    for (const index of [0, 1, 2, 3]) failTwice(fleet, index);
    expect(fleet.isPanic).toBe(true);
    await stopping;
    expect(fleet.isPanic).toBe(false);
  });

  it('tells nothing of the fleet when there is only one', async () => {
    const one = await simulator({ faults: { workerDead: true } });
    const fleet = await startFleet(await tempStore(), [one.url], { config: { canaryTimeoutMs: 60_000 } });
    await eventually(() => fleet.instances()[0]?.answering);
    failTwice(fleet, 0);
    expect([aside(fleet), fleet.isPanic]).toEqual([0, false]);
    expect(fleet.members()[0]?.canaryId).not.toBeNull();
  });
});
