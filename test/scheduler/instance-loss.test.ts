import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/domain/graph.ts';
import { eventually } from '../support/eventually.ts';
import { executionsOf, type Rig, sleepGraph, startRig } from './rig.ts';

async function codes(gateway: Rig, id: string): Promise<(string | undefined)[]> {
  return (await gateway.attempts(id)).map((attempt) => attempt.error?.code);
}

/** The simulator that runs something now. */
function victimOf(gateway: Rig) {
  return eventually(() =>
    gateway.simulators.find((one) => executionsOf(one).some((run) => run.outcome === 'running')),
  );
}

describe('an instance that dies', () => {
  it.each([0, 0.5, 0.99])(
    'at %s of the progress costs the job a second run, and no more (F11)',
    async (share) => {
      const faults = { crashAtProgress: share, restartAfterMs: 150 };
      const gateway = await startRig({ simulators: [{ faults }] });
      const id = await gateway.submit(sleepGraph(0.2, 100));
      const job = await gateway.ended(id);
      expect(job).toMatchObject({ status: 'COMPLETED', chargedAttempts: 1, crashes: 1 });
      expect(await codes(gateway, id)).toEqual(['INSTANCE_CRASHED', undefined]);
      expect(gateway.executions().map((run) => run.outcome)).toEqual(['died', 'success']);
      await gateway.judged();
    },
  );

  it('says nothing about a job that waited behind a prompt of somebody else (F11)', async () => {
    const gateway = await startRig();
    const { url, control } = gateway.simulator;
    const foreign = { prompt: sleepGraph(30, 600), client_id: 'a person' };
    await fetch(`${url}/prompt`, { method: 'POST', body: JSON.stringify(foreign) });
    await eventually(() => gateway.fleet.instances()[0]?.instance.foreignPrompts === 1);
    const id = await gateway.submit(sleepGraph(0.02));
    await eventually(async () => (await gateway.attempts(id))[0]?.state === 'RUNNING');
    await control.restart();
    expect(await gateway.ended(id)).toMatchObject({ status: 'COMPLETED', crashes: 0 });
    expect(await codes(gateway, id)).toEqual(['INSTANCE_LOST', undefined]);
    await gateway.judged();
  });
});

describe('an instance that dies after a run, before its history was read', () => {
  it('takes nothing with it when the outputs are here already (F12)', async () => {
    const gateway = await startRig({
      simulators: [{ faults: { lateHistoryMs: 60_000, restartAfterMs: 200 } }],
    });
    const id = await gateway.submit(sleepGraph(0.05));
    await eventually(async () => (await gateway.outputs(id)).length === 1);
    await gateway.simulator.control.crash();
    expect(await gateway.ended(id)).toMatchObject({ status: 'COMPLETED', attemptCount: 1 });
    expect(gateway.executions()).toHaveLength(1);
    await gateway.judged();
  });

  it('hands out the files when it is back in time (F12)', async () => {
    const gateway = await startRig({ simulators: [{ faults: { lateHistoryMs: 60_000, slowBodies: 20 } }] });
    const { control } = gateway.simulator;
    const id = await gateway.submit(sleepGraph(0.05));
    await whenAllIsTold(gateway, id);
    await control.crash();
    control.setFaults({ slowBodies: null, lateHistoryMs: 0 });
    await control.restart();
    expect(await gateway.ended(id)).toMatchObject({ status: 'COMPLETED', attemptCount: 1 });
    expect(await gateway.outputs(id)).toHaveLength(1);
    expect(gateway.executions()).toHaveLength(1);
    await gateway.judged();
  });

  it('costs a second run when it stays away with the files (F12)', async () => {
    const faults = { lateHistoryMs: 60_000, slowBodies: 20 };
    const gateway = await startRig({ simulators: [{ faults }, { faults }] });
    const id = await gateway.submit(sleepGraph(0.05));
    await whenAllIsTold(gateway, id);
    const victim = await victimOf(gateway);
    for (const one of gateway.simulators) one.control.clearFaults();
    await victim.control.crash();
    const job = await gateway.ended(id);
    expect(job).toMatchObject({ status: 'COMPLETED', attemptCount: 2, chargedAttempts: 1 });
    expect(await gateway.outputs(id)).toHaveLength(1);
    await gateway.judged();
  });
});

/** The instance has said that the run is over and succeeded. */
async function whenAllIsTold(gateway: Rig, id: string): Promise<void> {
  await eventually(async () => (await gateway.bus.latest([id])).get(id)?.progress?.fraction === 1);
}

describe('a dead worker behind a healthy face', () => {
  it('loses its job to others soon, and gets no other until a canary passes (F13)', async () => {
    const gateway = await startRig({
      simulators: [{}, {}],
      config: { stalledStartMs: 300, canaryTimeoutMs: 300, breakerOpenMs: 200 },
    });
    const [dead, healthy] = gateway.simulators;
    if (!dead || !healthy) throw new Error('there are two');
    const breaker = (): string | undefined => gateway.fleet.instances()[0]?.breaker;
    await eventually(() =>
      gateway.fleet.instances().every((one) => one.answering && one.breaker === 'CLOSED'),
    );
    dead.control.setFaults({ workerDead: true });
    const ids = await Promise.all([1, 2, 3].map(() => gateway.submit(sleepGraph(0.1))));
    for (const id of ids)
      expect(await gateway.ended(id)).toMatchObject({ status: 'COMPLETED', chargedAttempts: 1 });
    const stalled = (await Promise.all(ids.map((id) => codes(gateway, id)))).flat().filter(Boolean);
    expect(stalled).toEqual(['INSTANCE_STALLED']);
    expect(executionsOf(dead)).toEqual([]);
    expect(breaker()).not.toBe('CLOSED');
    await dead.control.restart();
    await eventually(() => breaker() === 'CLOSED');
    await gateway.judged();
  });
});

describe('a poison job', () => {
  it('takes down two instances and not the third; no other job pays for it (F41)', async () => {
    let restarts = 0;
    const poisonous = {
      faults: { crashAtNode: 'RigAsyncSleep', restartAfterMs: 150 },
      onCrash: () => {
        restarts++;
      },
    };
    const gateway = await startRig({ simulators: [poisonous, poisonous, poisonous] });
    const poison: Graph = {
      '1': { class_type: 'RigAsyncSleep', inputs: { seconds: 0.01, salt: 1 } },
      '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'x' } },
    };
    const first = await gateway.submit(poison);
    const innocent = await Promise.all(Array.from({ length: 8 }, () => gateway.submit(sleepGraph(0.2))));
    expect(await gateway.ended(first)).toMatchObject({
      status: 'FAILED',
      error: { code: 'POISON', retryable: false },
    });
    expect(await codes(gateway, first)).toEqual(['INSTANCE_CRASHED', 'INSTANCE_CRASHED']);
    expect(restarts).toBe(2);
    for (const id of innocent) {
      expect(await gateway.ended(id)).toMatchObject({ status: 'COMPLETED', crashes: 0 });
    }
    expect(gateway.executions()).toHaveLength(2 + innocent.length);
    await gateway.judged();
  });
});

describe('an attempt that was given up', () => {
  it('adds nothing to its job when its instance comes back with the result (F26)', async () => {
    const faults = { ignoreInterrupts: true };
    const gateway = await startRig({ simulators: [{ faults }, { faults }] });
    const id = await gateway.submit(sleepGraph(0.8, 8));
    const victim = await victimOf(gateway);
    victim.control.freeze();
    await eventually(async () => (await gateway.attempts(id)).length === 2);
    victim.control.thaw();
    await eventually(() => executionsOf(victim)[0]?.outcome === 'success');
    expect(await gateway.ended(id)).toMatchObject({ status: 'COMPLETED', attemptCount: 2 });
    expect(gateway.executions().map((run) => run.outcome)).toEqual(['success', 'success']);
    const [old, good] = await gateway.attempts(id);
    if (!old || !good) throw new Error('there are two');
    expect(old).toMatchObject({ state: 'LOST', error: { code: 'INSTANCE_UNREACHABLE' } });
    const { recorder } = gateway;
    expect(await recorder.complete(old.id, old.term, 1)).toBeNull();
    expect(await recorder.running(old.id, old.term)).toBe(false);
    expect((await gateway.outputs(id)).map((output) => output.attemptId)).toEqual([good.id]);
    await gateway.judged();
  });
});
