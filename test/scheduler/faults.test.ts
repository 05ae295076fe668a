import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/domain/graph.ts';
import { defaultViewer } from '../../src/domain/viewer.ts';
import { eventually } from '../support/eventually.ts';
import { failingGraph, sleepGraph, startRig } from './rig.ts';

describe('a job that fails', () => {
  it('is tried again when a node raises, and ends FAILED with the node when attempts are used up', async () => {
    const gateway = await startRig();
    const id = await gateway.submit(failingGraph('ValueError', 'rig failure\nsecond line'));
    const job = await gateway.ended(id);
    expect(job).toMatchObject({
      status: 'FAILED',
      chargedAttempts: 3,
      error: {
        code: 'NODE_FAILED',
        nodeId: '1',
        nodeType: 'RigRaise',
        retryable: true,
        message: 'rig failure',
      },
    });
    expect(gateway.executions()).toHaveLength(3);
    expect((await gateway.attempts(id)).map((attempt) => attempt.state)).toEqual([
      'FAILED',
      'FAILED',
      'FAILED',
    ]);
  });

  it('knows out of memory by the error text (F17)', async () => {
    const gateway = await startRig();
    const id = await gateway.submit(failingGraph('OOM', 'Allocation on device'), { maxAttempts: 1 });
    expect((await gateway.ended(id)).error?.code).toBe('OUT_OF_MEMORY');
    await gateway.judged();
  });

  it('is final at once when the instance refuses the workflow', async () => {
    const gateway = await startRig();
    const graph: Graph = {
      '1': { class_type: 'RigSleep', inputs: { seconds: -5, steps: 2, preview: 'none', salt: 1 } },
      '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'x' } },
    };
    const job = await gateway.ended(await gateway.submit(graph));
    expect(job).toMatchObject({
      status: 'FAILED',
      attemptCount: 1,
      error: { code: 'PROMPT_REJECTED', nodeId: '1', nodeType: 'RigSleep', retryable: false },
    });
    expect(gateway.executions()).toEqual([]);
  });

  it('is final when only some of its outputs would run, and the prompt is taken back (F19)', async () => {
    const gateway = await startRig();
    const good = sleepGraph(5, 100);
    const bad: Graph = {
      ...good,
      '3': { class_type: 'RigSleep', inputs: { seconds: -5, steps: 2, preview: 'none', salt: 1 } },
      '4': { class_type: 'SaveImage', inputs: { images: ['3', 0], filename_prefix: 'x' } },
    };
    const job = await gateway.ended(await gateway.submit(bad));
    expect(job).toMatchObject({ status: 'FAILED', error: { code: 'NODE_ERRORS', nodeId: '3' } });
    expect(gateway.executions().every((run) => run.outcome === 'interrupted')).toBe(true);
    await gateway.judged();
  });

  it('is told which node blocked its output', async () => {
    const gateway = await startRig();
    const graph: Graph = {
      '1': { class_type: 'RigBlock', inputs: { message: 'not today', salt: 1 } },
      '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'x' } },
    };
    const job = await gateway.ended(await gateway.submit(graph));
    expect(job).toMatchObject({ status: 'FAILED', attemptCount: 1, error: { code: 'OUTPUT_BLOCKED' } });
  });

  it('fails when it ends without any output', async () => {
    const gateway = await startRig();
    const graph: Graph = {
      '1': { class_type: 'RigNoise', inputs: { width: 8, height: 8, batch: 1, salt: 77 } },
      '2': { class_type: 'RigSilentOutput', inputs: { image: ['1', 0] } },
    };
    expect((await gateway.ended(await gateway.submit(graph))).error?.code).toBe('NO_OUTPUT');
  });

  it('times out, is stopped on the instance and tried again (F46)', async () => {
    const gateway = await startRig();
    const id = await gateway.submit(sleepGraph(30, 600), { timeoutMs: 300, maxAttempts: 2 });
    const job = await gateway.ended(id);
    expect(job).toMatchObject({ status: 'FAILED', chargedAttempts: 2, error: { code: 'TIMEOUT' } });
    await eventually(() => gateway.executions().every((run) => run.outcome === 'interrupted'));
    expect(gateway.executions()).toHaveLength(2);
    await gateway.judged();
  });

  it('is tried again when somebody interrupts it on the instance', async () => {
    const gateway = await startRig();
    const id = await gateway.submit(sleepGraph(0.6, 30));
    await eventually(() => gateway.executions().length === 1);
    await fetch(`${gateway.simulator.url}/interrupt`, { method: 'POST', body: '{}' });
    expect(await gateway.ended(id)).toMatchObject({ status: 'COMPLETED', chargedAttempts: 2 });
    expect((await gateway.attempts(id))[0]?.error?.code).toBe('INTERRUPTED');
  });

  it('withdraws the outputs of a failed attempt', async () => {
    const gateway = await startRig();
    const graph: Graph = {
      '1': { class_type: 'RigText', inputs: { text: 'early' } },
      ...Object.fromEntries(
        Object.entries(failingGraph('ValueError', 'late')).map(([id, node]) => [
          `1${id}`,
          { ...node, inputs: { ...node.inputs, ...(id === '2' && { images: ['11', 0] }) } },
        ]),
      ),
    };
    const id = await gateway.submit(graph, { maxAttempts: 2 });
    const job = await gateway.ended(id);
    expect(job.status).toBe('FAILED');
    const newest = (await gateway.attempts(id)).at(-1);
    for (const output of await gateway.outputs(id)) expect(output.attemptId).toBe(newest?.id);
  });
});

describe('canceling', () => {
  it('takes a waiting job out of the queue', async () => {
    const gateway = await startRig();
    const blocker = await gateway.submit(sleepGraph(0.3));
    const id = await gateway.submit(sleepGraph(0.02));
    expect((await gateway.recorder.cancel(defaultViewer, id)).kind).toBe('canceled');
    await gateway.ended(blocker);
    const after = await gateway.submit(sleepGraph(0.02));
    await gateway.ended(after);
    expect(await gateway.attempts(id)).toEqual([]);
    expect(gateway.executions()).toHaveLength(2);
  });

  it('stops a running job, and its place is given away only when the instance is free', async () => {
    const gateway = await startRig();
    const id = await gateway.submit(sleepGraph(30, 600));
    await eventually(() => gateway.executions().length === 1);
    await gateway.recorder.cancel(defaultViewer, id);
    const next = await gateway.submit(sleepGraph(0.02));
    expect((await gateway.ended(next)).status).toBe('COMPLETED');
    expect((await gateway.job(id)).status).toBe('CANCELED');
    expect((await gateway.attempts(id)).map((attempt) => attempt.state)).toEqual(['CANCELED']);
    const [first, second] = gateway.executions();
    expect(first?.outcome).toBe('interrupted');
    expect(second?.startedAt).toBeGreaterThanOrEqual(first?.endedAt ?? Number.POSITIVE_INFINITY);
  });

  it('stops a job whenever it is canceled (F42)', async () => {
    const gateway = await startRig({ simulators: [{}, {}] });
    const ids: string[] = [];
    for (let n = 0; n < 24; n++) {
      const id = await gateway.submit(sleepGraph(0.1, 5));
      ids.push(id);
      // at another moment of its life each time
      for (let turn = 0; turn < n * 2; turn++) await new Promise((resolve) => setImmediate(resolve));
      await gateway.recorder.cancel(defaultViewer, id);
    }
    await eventually(async () => {
      const attempts = (await Promise.all(ids.map((id) => gateway.attempts(id)))).flat();
      return attempts.every((attempt) => attempt.finishedAt !== null);
    });
    const jobs = await Promise.all(ids.map((id) => gateway.job(id)));
    for (const job of jobs) expect(['CANCELED', 'COMPLETED']).toContain(job.status);
    const last = await gateway.submit(sleepGraph(0.02));
    expect((await gateway.ended(last)).status).toBe('COMPLETED');
    await gateway.judged();
  });

  it('frees the instance after a restart too', async () => {
    const gateway = await startRig();
    const id = await gateway.submit(sleepGraph(30, 600));
    await eventually(() => gateway.executions().length === 1);
    const recorder = gateway.recorder;
    await gateway.shutDown();
    await recorder.cancel(defaultViewer, id);
    await gateway.boot();
    await eventually(() => gateway.executions()[0]?.outcome === 'interrupted');
    await eventually(async () => (await gateway.attempts(id))[0]?.state === 'CANCELED');
  });
});
