import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Graph } from '../../src/domain/graph.ts';
import { defaultViewer } from '../../src/domain/viewer.ts';
import type { Faults } from '../../src/simulator/faults.ts';
import { eventually } from '../support/eventually.ts';
import { failingGraph, type Rig, sleepGraph, startRig } from './rig.ts';

/** Loads a model onto the graphics card. */
const MODEL_GRAPH: Graph = {
  '1': { class_type: 'RigNoise', inputs: { width: 16, height: 16, batch: 1, salt: 5 } },
  '2': { class_type: 'UpscaleModelLoader', inputs: { model_name: '4x_NMKD-Siax_200k.pth' } },
  '3': { class_type: 'ImageUpscaleWithModel', inputs: { upscale_model: ['2', 0], image: ['1', 0] } },
  '4': { class_type: 'SaveImage', inputs: { images: ['3', 0], filename_prefix: 'test' } },
};

/** Takes its time, so that there is something to do before anything fails. */
const SLOW_PICTURE: Graph[string] = {
  class_type: 'RigSleep',
  inputs: { seconds: 1.5, steps: 10, preview: 'none', salt: 6 },
};

/**
 * Has the job fail on the instance that took it, whichever that is: one of two that came back together is still resting,
 * or in doubt, often enough that nobody can say where the job goes.
 */
async function failsWhereItIs(gateway: Rig, id: string, faults: Partial<Faults>): Promise<void> {
  const url = await eventually(async () => {
    const [attempt] = await gateway.attempts(id);
    return gateway.fleet.instances().find(({ instance }) => instance.id === attempt?.instanceId)?.instance
      .url;
  });
  const there = gateway.simulators.find((one) => one.url === url);
  there?.control.setFaults(faults);
}

async function codes(gateway: Rig, id: string): Promise<(string | undefined)[]> {
  return (await gateway.attempts(id)).map((attempt) => attempt.error?.code);
}

describe('a job that runs out of memory', () => {
  it('is tried once more, after its instance was told to free its memory, and then fails (F17)', async () => {
    const gateway = await startRig();
    const [member] = gateway.fleet.members();
    if (!member) throw new Error('there is one');
    const free = vi.spyOn(member.http, 'free');
    const id = await gateway.submit(failingGraph('OOM', 'Allocation on device'), { maxAttempts: 9 });
    expect(await gateway.ended(id)).toMatchObject({ status: 'FAILED', error: { code: 'OUT_OF_MEMORY' } });
    expect(await codes(gateway, id)).toEqual(['OUT_OF_MEMORY', 'OUT_OF_MEMORY']);
    await eventually(() => free.mock.calls.length === 2);
    expect(free.mock.calls[0]?.[0]).toEqual({ unloadModels: true, freeMemory: true });
    await gateway.judged();
  });

  it('completes where there is room (F17)', async () => {
    const gateway = await startRig({ simulators: [{}, {}] });
    await eventually(() => gateway.fleet.instances().every((one) => one.answering && one.inventory));
    const id = await gateway.submit({ ...MODEL_GRAPH, '1': SLOW_PICTURE });
    await failsWhereItIs(gateway, id, { outOfMemory: 'error' });
    expect((await gateway.ended(id)).status).toBe('COMPLETED');
    expect(await codes(gateway, id)).toEqual(['OUT_OF_MEMORY', undefined]);
    await gateway.judged();
  });

  it('counts as a crash when its instance is killed without a word (F17)', async () => {
    const gateway = await startRig({
      simulators: [{ faults: { outOfMemory: 'crash', restartAfterMs: 150 } }],
    });
    const id = await gateway.submit(MODEL_GRAPH);
    await eventually(() => !gateway.simulator.control.alive());
    gateway.simulator.control.setFaults({ outOfMemory: null });
    expect(await gateway.ended(id)).toMatchObject({ status: 'COMPLETED', crashes: 1 });
    expect(await codes(gateway, id)).toEqual(['INSTANCE_CRASHED', undefined]);
    await gateway.judged();
  });
});

describe('a full disk of an instance', () => {
  it('is named, and the job runs elsewhere (F24)', async () => {
    const noSpace = { type: 'OSError', message: "[Errno 28] No space left on device: '/srv/output/a.png'" };
    const gateway = await startRig({ simulators: [{}, {}] });
    await eventually(() => gateway.fleet.instances().every((one) => one.answering && one.inventory));
    const id = await gateway.submit(sleepGraph(1.5, 10));
    await failsWhereItIs(gateway, id, { nodeErrors: { SaveImage: noSpace } });
    expect((await gateway.ended(id)).status).toBe('COMPLETED');
    const [first] = await gateway.attempts(id);
    expect(first?.error).toMatchObject({
      code: 'INSTANCE_DISK_FULL',
      nodeType: 'SaveImage',
      message: 'the disk of the instance is full',
    });
    await gateway.judged();
  });
});

describe('the same job twice', () => {
  it('succeeds again from the cache when the files of the first are gone (F20)', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'same-job-'));
    onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
    const gateway = await startRig({ simulators: [{ dataDir }] });
    const graph = sleepGraph(0.05);
    const first = await gateway.submit(graph);
    expect((await gateway.ended(first)).status).toBe('COMPLETED');
    const output = join(dataDir, 'output');
    expect(await readdir(output)).not.toEqual([]);
    for (const name of await readdir(output)) await rm(join(output, name), { recursive: true });
    const second = await gateway.submit(graph);
    const heard = await gateway.listen(second);
    expect(await gateway.ended(second)).toMatchObject({ status: 'COMPLETED', attemptCount: 1 });
    expect(await gateway.outputs(second)).toHaveLength(1);
    await eventually(() =>
      heard.some(
        (signal) =>
          signal.kind === 'job' && signal.change.type === 'progress' && signal.change.progress.fraction === 1,
      ),
    );
    await gateway.judged();
  });
});

describe('history that comes late', () => {
  it('is waited for, and nothing is complete without its outputs (F16)', async () => {
    const late = { faults: { lateHistoryMs: [0, 1200] as [number, number] } };
    const gateway = await startRig({
      simulators: [late, late, { faults: { ...late.faults, refuseSockets: true } }],
    });
    const ids = await Promise.all(Array.from({ length: 9 }, () => gateway.submit(sleepGraph(0.02))));
    for (const id of ids) {
      expect(await gateway.ended(id)).toMatchObject({ status: 'COMPLETED', attemptCount: 1 });
      expect(await gateway.outputs(id)).toHaveLength(1);
    }
    await gateway.judged();
  });
});

describe('a run that does not stop', () => {
  it('is over for its user within seconds when it times out, and its instance gets nothing until it lets go (F46)', async () => {
    const gateway = await startRig();
    // one step of ten minutes: it takes no notice of an interrupt
    const id = await gateway.submit(sleepGraph(600, 1), { timeoutMs: 300, maxAttempts: 1 });
    const job = await gateway.ended(id);
    expect(job).toMatchObject({ status: 'FAILED', error: { code: 'TIMEOUT' } });
    // it counts as having been there for as long as it was waited for
    expect(job.runMs).toBeGreaterThan(4000);
    expect(gateway.executions().map((run) => run.outcome)).toEqual(['running']);
    const next = await gateway.submit(sleepGraph(0.02));
    await eventually(async () => (await gateway.job(next)).status === 'PENDING');
    expect(await gateway.attempts(next)).toEqual([]);
    await gateway.simulator.control.restart();
    expect((await gateway.ended(next)).status).toBe('COMPLETED');
    await gateway.judged();
  });

  it('is canceled at once for its user, and asked to stop until it does (F23)', async () => {
    const gateway = await startRig({ simulators: [{ faults: { ignoreInterrupts: true } }] });
    const { control } = gateway.simulator;
    const id = await gateway.submit(sleepGraph(30, 600));
    await eventually(() => gateway.executions().length === 1);
    const [member] = gateway.fleet.members();
    if (!member) throw new Error('there is one');
    const interrupts = vi.spyOn(member.http, 'interrupt');
    await gateway.recorder.cancel(defaultViewer, id);
    expect((await gateway.job(id)).status).toBe('CANCELED');
    await eventually(() => interrupts.mock.calls.length >= 3);
    expect(gateway.executions()[0]?.outcome).toBe('running');
    expect((await gateway.attempts(id))[0]?.finishedAt).toBeNull();
    control.setFaults({ ignoreInterrupts: false });
    await eventually(() => gateway.executions()[0]?.outcome === 'interrupted');
    await gateway.judged();
  });
});
