import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { defaultViewer } from '../../src/domain/viewer.ts';
import { eventually } from '../support/eventually.ts';
import { sleepGraph, startRig } from './rig.ts';

describe('jobs, while things break', () => {
  it('complete without any WebSocket (F15)', async () => {
    const gateway = await startRig({ simulators: [{ faults: { refuseSockets: true } }] });
    const ids = [await gateway.submit(sleepGraph(0.2)), await gateway.submit(sleepGraph(0.02))];
    for (const id of ids) expect((await gateway.ended(id)).status).toBe('COMPLETED');
    expect(gateway.executions()).toHaveLength(2);
    expect(await gateway.outputs(ids[0] as string)).toHaveLength(1);
    await gateway.judged();
  });

  it('complete when the socket is switched off', async () => {
    const gateway = await startRig({ config: { comfyuiWebsocket: false } });
    expect((await gateway.ended(await gateway.submit(sleepGraph(0.1)))).status).toBe('COMPLETED');
    expect(gateway.simulator.control.socketCount()).toBe(0);
    expect(gateway.fleet.instances()[0]?.instance.health).toBe('HEALTHY');
  });

  it('complete when the socket is deaf, which is noticed and cured (F14)', async () => {
    const gateway = await startRig({ simulators: [{ faults: { deafSockets: true } }] });
    await eventually(() => gateway.fleet.instances()[0]?.listening);
    const id = await gateway.submit(sleepGraph(0.1));
    expect((await gateway.ended(id)).status).toBe('COMPLETED');
    // the new connection has a client id of its own, so that the old one cannot silence it
    await eventually(async () => {
      await gateway.ended(await gateway.submit(sleepGraph(0.02)));
      return new Set(gateway.executions().map((run) => run.clientId)).size > 1;
    });
    await gateway.judged();
  });

  it('complete when the socket is cut in the middle of a run', async () => {
    const gateway = await startRig();
    const id = await gateway.submit(sleepGraph(0.6, 30));
    await eventually(() => gateway.executions().length === 1);
    gateway.simulator.control.hangUp();
    expect((await gateway.ended(id)).status).toBe('COMPLETED');
    expect(gateway.executions()).toHaveLength(1);
  });

  it('leave their instance at once when they are canceled in the moment they are given to it', async () => {
    // the rows are not compared again within this test: only the hint of the cancel can free the instance
    const gateway = await startRig({ config: { reconcileIntervalMs: 60_000 } });
    const id = randomUUID();
    let canceled: Promise<unknown> | undefined;
    gateway.store.onQuery((sql) => {
      if (sql.startsWith('insert into "attempts"')) canceled ??= gateway.recorder.cancel(defaultViewer, id);
    });
    await gateway.submit(sleepGraph(20, 40), { id });
    await eventually(async () => (await gateway.attempts(id))[0]?.state === 'CANCELED', {
      withinMs: 5000,
      what: 'the place is free',
    });
    expect(await canceled).toMatchObject({ kind: 'canceled' });
    expect(gateway.executions().filter((run) => run.outcome === 'running')).toEqual([]);
  });

  it('time out in time while their file is on its way to an instance that has frozen', async () => {
    const gateway = await startRig();
    await eventually(() => gateway.fleet.instances()[0]?.listening);
    const put = await gateway.storage.put('default', [Buffer.from('a picture')], { maxBytes: 100 });
    if (!put.stored) throw new Error(put.reason);
    gateway.simulator.control.freeze();
    const image = { $file: { sha256: put.sha256, mimeType: 'image/png', as: 'name' } };
    const graph = { '1': { class_type: 'LoadImage', inputs: { image } } };
    const id = await gateway.submit(graph, { timeoutMs: 100, maxAttempts: 1 });
    expect(await gateway.ended(id)).toMatchObject({ status: 'FAILED', error: { code: 'TIMEOUT' } });
    put.pin.release();
  });

  it('complete when history is written late (F16)', async () => {
    const gateway = await startRig({ simulators: [{ faults: { lateHistoryMs: 700 } }] });
    const id = await gateway.submit(sleepGraph(0.05));
    expect((await gateway.ended(id)).status).toBe('COMPLETED');
    expect(await gateway.outputs(id)).toHaveLength(1);
    expect(gateway.executions()).toHaveLength(1);
    await gateway.judged();
  });

  it('complete when history is written late and there is no socket (F16)', async () => {
    const gateway = await startRig({ simulators: [{ faults: { lateHistoryMs: 700, refuseSockets: true } }] });
    expect((await gateway.ended(await gateway.submit(sleepGraph(0.05)))).status).toBe('COMPLETED');
    expect(gateway.executions()).toHaveLength(1);
    await gateway.judged();
  });

  it('never publish an output that was cut short on its way', async () => {
    const gateway = await startRig({ simulators: [{ faults: { cutBodies: 30 } }] });
    const id = await gateway.submit(sleepGraph(0.02), { maxAttempts: 1 });
    const job = await gateway.ended(id);
    expect(job).toMatchObject({ status: 'FAILED', error: { code: 'OUTPUT_UNAVAILABLE' } });
    expect(await gateway.outputs(id)).toEqual([]);
    gateway.simulator.control.clearFaults();
    expect((await gateway.ended(await gateway.submit(sleepGraph(0.02)))).status).toBe('COMPLETED');
  });

  it('fetch an output again that was cut short once', async () => {
    const gateway = await startRig({ simulators: [{ faults: { cutBodies: 30 } }] });
    const id = await gateway.submit(sleepGraph(0.02), { maxAttempts: 1 });
    await eventually(async () => (await gateway.attempts(id))[0]?.state === 'COLLECTING');
    gateway.simulator.control.clearFaults();
    expect((await gateway.ended(id)).status).toBe('COMPLETED');
  });

  it('run again elsewhere, at no charge, when their instance dies (F11)', async () => {
    const gateway = await startRig({ simulators: [{}, {}] });
    const id = await gateway.submit(sleepGraph(1, 20));
    const victim = await eventually(() =>
      gateway.simulators.find((one) => one.control.executions().length > 0),
    );
    await victim.control.crash();
    const job = await gateway.ended(id);
    expect(job).toMatchObject({ status: 'COMPLETED', attemptCount: 2, chargedAttempts: 1 });
    expect((await gateway.attempts(id)).map((attempt) => attempt.state)).toEqual(['LOST', 'SUCCEEDED']);
    await gateway.judged();
  });

  it('run again when their instance restarts and has forgotten them (F11)', async () => {
    const gateway = await startRig();
    const id = await gateway.submit(sleepGraph(0.6, 20));
    await eventually(() => gateway.executions().length === 1);
    await gateway.simulator.control.restart();
    expect(await gateway.ended(id)).toMatchObject({ status: 'COMPLETED', chargedAttempts: 1 });
    expect(gateway.executions()).toHaveLength(2);
    await gateway.judged();
  });

  it('run again elsewhere when their instance freezes, and the forgotten prompt is swept away (F26)', async () => {
    const gateway = await startRig({ simulators: [{}, {}] });
    const id = await gateway.submit(sleepGraph(2.5, 50));
    const victim = await eventually(() =>
      gateway.simulators.find((one) => one.control.executions().length > 0),
    );
    victim.control.freeze();
    const moved = await eventually(async () => {
      const attempts = await gateway.attempts(id);
      return attempts.length === 2 && attempts[0]?.state === 'LOST';
    });
    expect(moved).toBe(true);
    victim.control.thaw();
    await eventually(() => victim.control.executions()[0]?.outcome === 'interrupted');
    expect((await gateway.ended(id)).status).toBe('COMPLETED');
    await gateway.judged();
  });

  it('are found again when the instance dies while it answers the POST (F4)', async () => {
    const gateway = await startRig({
      simulators: [{ faults: { crashOnPrompt: true, restartAfterMs: 100 } }],
    });
    const id = await gateway.submit(sleepGraph(0.05));
    await eventually(() => !gateway.simulator.control.alive());
    gateway.simulator.control.clearFaults();
    const job = await gateway.ended(id);
    expect(job).toMatchObject({ status: 'COMPLETED', chargedAttempts: 1 });
    const successes = gateway.executions().filter((run) => run.outcome === 'success');
    expect(successes).toHaveLength(1);
    await gateway.judged();
  });

  it('fail, charged, on an instance that answers every POST with an error', async () => {
    const gateway = await startRig({ simulators: [{ faults: { refusePrompts: 500 } }] });
    const id = await gateway.submit(sleepGraph(0.02), { maxAttempts: 1 });
    expect(await gateway.ended(id)).toMatchObject({ status: 'FAILED', error: { code: 'SUBMIT_FAILED' } });
    expect(gateway.executions()).toEqual([]);
  });

  it('survive a lost hint', async () => {
    const gateway = await startRig();
    const id = await gateway.submit(sleepGraph(0.02));
    await gateway.ended(id);
    // a job that only its row tells of
    const { bus } = gateway;
    const publish = bus.publish.bind(bus);
    bus.publish = (message) => {
      if (message.kind !== 'hint') publish(message);
    };
    const silent = await gateway.submit(sleepGraph(0.02));
    expect((await gateway.ended(silent)).status).toBe('COMPLETED');
  });
});

describe('an attempt that nobody follows', () => {
  it('is followed again', async () => {
    const gateway = await startRig();
    const id = await gateway.submit(sleepGraph(1, 10));
    const { recorder } = gateway;
    // our own code fails where it must not
    const complete = recorder.complete.bind(recorder);
    let broken = true;
    recorder.complete = async (...args) => {
      if (!broken) return complete(...args);
      broken = false;
      return null;
    };
    expect((await gateway.ended(id)).status).toBe('COMPLETED');
    expect(gateway.executions()).toHaveLength(1);
  });
});
