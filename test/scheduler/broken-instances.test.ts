import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { canaryTag } from '../../src/fleet/ownership.ts';
import { present } from '../../src/lib/assert.ts';
import { eventually } from '../support/eventually.ts';
import { executionsOf, type Rig, sleepGraph, startRig } from './rig.ts';

const stateOf = (rig: Rig, index: number): string | undefined => rig.fleet.instances()[index]?.breaker;

function submitMany(rig: Rig, count: number, seconds: number): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, () => rig.submit(sleepGraph(seconds, 1))));
}

describe('an instance that fails every job at once, one of four, with many jobs waiting', () => {
  it.each([
    ['a lost graphics card', 'CUDA error: an illegal memory access was encountered'],
    ['an error nobody knows', 'something is rotten'],
  ])('touches at most two of them, and no client hears of it: %s (F18)', async (_name, message) => {
    const stickyError = { type: 'RuntimeError', message };
    const rig = await startRig({ simulators: [{ faults: { stickyError } }, {}, {}, {}] });
    await eventually(() => rig.fleet.instances().every((one) => one.instance.health === 'HEALTHY'));
    const jobs = await submitMany(rig, 40, 0.02);
    const ended = await Promise.all(jobs.map((id) => rig.ended(id)));
    expect(ended.every((job) => job.status === 'COMPLETED')).toBe(true);
    const touched = executionsOf(present(rig.simulators[0], 'the broken one'));
    expect(touched.length).toBeGreaterThan(0);
    expect(touched.length).toBeLessThanOrEqual(2);
    expect(stateOf(rig, 0)).not.toBe('CLOSED');
    expect(rig.fleet.instances()[0]?.instance.lastError).toContain(message);
    await rig.judged();
  });
});

describe('a worker that is dead behind a healthy face', () => {
  it('loses its jobs to others, gets none, and is used again after a restart (F13)', async () => {
    const config = { stalledStartMs: 400, canaryTimeoutMs: 300, breakerOpenMs: 60_000 };
    const rig = await startRig({ simulators: [{ faults: { workerDead: true } }, {}], config });
    const dead = present(rig.simulators[0], 'the dead one');
    await eventually(() => rig.fleet.instances().every((one) => one.instance.health === 'HEALTHY'));
    const jobs = await submitMany(rig, 6, 0.02);
    for (const id of jobs) expect((await rig.ended(id)).status).toBe('COMPLETED');
    await eventually(() => stateOf(rig, 0) === 'OPEN');
    expect(executionsOf(dead)).toEqual([]);
    expect(dead.control.prompts().length).toBeLessThanOrEqual(3);
    await dead.control.crash();
    await eventually(() => rig.fleet.instances()[0]?.answering === false);
    await dead.control.restart();
    await eventually(() => stateOf(rig, 0) === 'CLOSED');
    const more = await submitMany(rig, 6, 0.1);
    for (const id of more) expect((await rig.ended(id)).status).toBe('COMPLETED');
    expect(executionsOf(dead).length).toBeGreaterThan(0);
    await rig.judged();
  });
});

describe('a server that stops publishing in the middle of a run', () => {
  it('finishes its jobs all the same, and its silence is noticed (F15)', async () => {
    const rig = await startRig();
    await eventually(() => rig.fleet.instances()[0]?.listening);
    const id = await rig.submit(sleepGraph(1, 10));
    await eventually(() => rig.executions().length === 1);
    rig.simulator.control.setFaults({ deafSockets: true });
    expect((await rig.ended(id)).status).toBe('COMPLETED');
    expect(rig.executions()).toHaveLength(1);
    // with the next prompt it shows that the socket is deaf; it is replaced, under another client id
    expect((await rig.ended(await rig.submit(sleepGraph(0.1)))).status).toBe('COMPLETED');
    rig.simulator.control.setFaults({ deafSockets: false });
    await eventually(async () => {
      await rig.ended(await rig.submit(sleepGraph(0.02)));
      return new Set(rig.executions().map((run) => run.clientId)).size > 1;
    });
    await rig.judged();
  });
});

describe('an instance that takes its time to start', () => {
  it('costs its jobs nothing: they wait, and say for what (F30)', async () => {
    const rig = await startRig();
    await eventually(() => rig.fleet.instances()[0]?.instance.health === 'HEALTHY');
    rig.simulator.control.adjust({ bootMs: 1500 });
    const restarted = rig.simulator.control.restart();
    await eventually(() => rig.fleet.instances()[0]?.answering === false);
    const jobs = await submitMany(rig, 3, 0.02);
    await eventually(async () => {
      const row = await rig.store.db.selectFrom('needs').selectAll().executeTakeFirst();
      return row?.blocked_by?.includes('starting');
    });
    expect(rig.fleet.instances()[0]?.instance.lastError).toContain('not up yet');
    await restarted;
    for (const id of jobs) {
      expect(await rig.ended(id)).toMatchObject({ status: 'COMPLETED', chargedAttempts: 1 });
      expect(await rig.attempts(id)).toHaveLength(1);
    }
    await rig.judged();
  });
});

describe('a canary that an earlier process left behind', () => {
  it('is swept; prompts of others beside it are not (F22)', async () => {
    const rig = await startRig();
    const post = (extra_data: object, seconds: number) =>
      fetch(`${rig.simulator.url}/prompt`, {
        method: 'POST',
        body: JSON.stringify({ prompt: sleepGraph(seconds), prompt_id: randomUUID(), extra_data }),
      });
    await post({}, 1.5);
    await post(canaryTag(rig.fleet.id), 30);
    await post({}, 0.1);
    await eventually(() => rig.simulator.control.executions().length === 2);
    await eventually(() => rig.simulator.control.executions().every((run) => run.outcome === 'success'));
    expect(rig.fleet.instances()[0]?.breaker).toBe('CLOSED');
  });
});
