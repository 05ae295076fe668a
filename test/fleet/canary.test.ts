import { randomUUID } from 'node:crypto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ComfyHttp } from '../../src/comfyui/http.ts';
import { HttpTransport } from '../../src/comfyui/http-transport.ts';
import { type CanaryOutcome, runCanary } from '../../src/fleet/canary.ts';
import { canaryGraph } from '../../src/fleet/canary-graph.ts';
import { canaryTag, isCanary, isOurs, ownershipTag } from '../../src/fleet/ownership.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../src/simulator/simulator.ts';
import { eventually } from '../support/eventually.ts';

interface Bench {
  readonly simulator: Simulator;
  readonly http: ComfyHttp;
  canary(options?: { timeoutMs?: number; nodeTypes?: readonly string[] }): Promise<CanaryOutcome>;
  /** Prompts of somebody else, each so long. */
  busy(count: number, seconds: number): Promise<void>;
}

const call = { deadlineMs: 3000 };

async function bench(options: SimulatorOptions = {}): Promise<Bench> {
  const simulator = await startSimulator(options);
  onTestFinished(() => simulator.stop());
  const transport = new HttpTransport({ url: simulator.url, clock: systemClock });
  await transport.start();
  onTestFinished(() => transport.stop());
  const http = new ComfyHttp(transport);
  return {
    simulator,
    http,
    canary: ({ timeoutMs = 2000, nodeTypes } = {}) =>
      runCanary(
        { http, clock: systemClock, signal: new AbortController().signal },
        {
          promptId: randomUUID(),
          clientId: randomUUID(),
          graph: canaryGraph(nodeTypes ?? null, Math.random),
          tag: canaryTag('fleet'),
          timeoutMs,
        },
      ),
    busy: async (count, seconds) => {
      for (let salt = 0; salt < count; salt++) {
        const prompt = {
          '1': { class_type: 'RigSleep', inputs: { seconds, steps: 2, preview: 'none', salt } },
          '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
        };
        const submission = { promptId: randomUUID(), clientId: 'a-person', prompt, extraData: {} };
        expect((await http.postPrompt(submission, call)).kind).toBe('accepted');
      }
    },
  };
}

const outcomes = (simulator: Simulator): string[] => simulator.control.executions().map((run) => run.outcome);

describe('a canary', () => {
  it('passes on a bare instance and leaves nothing behind in its queue and history', async () => {
    const { simulator, http, canary } = await bench();
    expect(await canary()).toEqual({ kind: 'passed' });
    expect(await http.getPromptCount(call)).toEqual({ ok: true, value: 0 });
    const [run] = simulator.control.executions();
    expect(await http.getHistoryEntry(run?.promptId ?? '', call)).toEqual({ ok: true, value: null });
  });

  it.each([['ImageBlur'], ['PreviewImage']])('passes on an instance without %s', async (missing) => {
    const { canary } = await bench({ removeNodeClasses: [missing] });
    const nodeTypes = ['EmptyImage', 'ImageBlur', 'PreviewImage', 'SaveImage'].filter(
      (one) => one !== missing,
    );
    expect(await canary({ nodeTypes })).toEqual({ kind: 'passed' });
  });

  it('fails on an instance that cannot run it, with what the instance says', async () => {
    const { canary } = await bench({ removeNodeClasses: ['EmptyImage'] });
    expect(await canary()).toMatchObject({ kind: 'failed', reason: expect.stringContaining('refused') });
  });

  it('fails when the graphics card is gone, though plain pictures still work (F18)', async () => {
    const stickyError = { type: 'RuntimeError', message: 'CUDA error: unspecified launch failure\nmore' };
    const { canary } = await bench({ faults: { stickyError } });
    const reason = 'the canary failed: RuntimeError: CUDA error: unspecified launch failure';
    expect(await canary()).toEqual({ kind: 'failed', reason });
  });

  it('fails within its time on a dead worker, and is taken out of the queue again (F13)', async () => {
    const { http, canary } = await bench({ faults: { workerDead: true } });
    expect(await canary({ timeoutMs: 300 })).toMatchObject({ kind: 'failed' });
    expect(await http.getPromptCount(call)).toEqual({ ok: true, value: 0 });
  });

  it('waits behind prompts of others for longer than its own time, and touches none of them (F22)', async () => {
    const { simulator, canary, busy } = await bench();
    await busy(4, 0.3);
    expect(await canary({ timeoutMs: 400 })).toEqual({ kind: 'passed' });
    expect(outcomes(simulator)).toEqual(['success', 'success', 'success', 'success', 'success']);
  });

  it('fails behind prompts of others that a dead worker never takes, and leaves them (F13, F22)', async () => {
    const { http, canary, busy } = await bench({ faults: { workerDead: true } });
    await busy(2, 0.1);
    expect(await canary({ timeoutMs: 300 })).toMatchObject({ kind: 'failed' });
    const queue = await http.getQueue(call);
    expect(queue.ok && queue.value.pending.map((item) => item.clientId)).toEqual(['a-person', 'a-person']);
  });

  it('says nothing about an instance that goes away, or whose queue somebody clears', async () => {
    const { simulator, http, canary, busy } = await bench();
    await busy(1, 30);
    const waiting = canary();
    const posted = async () => {
      const count = await http.getPromptCount(call);
      return count.ok && count.value === 2;
    };
    await eventually(posted);
    await fetch(`${simulator.url}/queue`, { method: 'POST', body: '{"clear": true}' });
    expect(await waiting).toEqual({ kind: 'undecided' });
    const another = canary();
    await eventually(posted);
    await simulator.control.crash();
    expect(await another).toEqual({ kind: 'undecided' });
  });

  it('differs from every canary before it, so that no cache answers in its place', () => {
    const graphs = Array.from({ length: 100 }, () => JSON.stringify(canaryGraph(null, Math.random)));
    expect(new Set(graphs).size).toBe(100);
  });

  it('is told from the prompts of jobs, and from those of other fleets', () => {
    const item = (extraData: ReturnType<typeof canaryTag>) => ({
      promptId: 'p',
      number: 1,
      clientId: null,
      extraData,
    });
    const one = item(canaryTag('mine'));
    expect([isOurs(one, 'mine'), isCanary(one, 'mine')]).toEqual([true, true]);
    expect([isOurs(one, 'theirs'), isCanary(one, 'theirs')]).toEqual([false, false]);
    const job = item(ownershipTag('mine', 'job', 'attempt'));
    expect([isOurs(job, 'mine'), isCanary(job, 'mine')]).toEqual([true, false]);
  });
});
