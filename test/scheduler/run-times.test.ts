/** The time on the instance of attempts that end in every way, beside what the instance itself noted of each run. */
import { describe, expect, it } from 'vitest';
import { defaultViewer } from '../../src/domain/viewer.ts';
import { eventually } from '../support/eventually.ts';
import { type Rig, sleepGraph, startRig } from './rig.ts';

/** The instance's clock starts a little before it says so, and what it says takes a moment to arrive. */
const SLACK_MS = 60;

/** Of each attempt that has ended: its time by our row, and by the instance. */
async function times(gateway: Rig, id: string): Promise<{ ours: number; truth: number }[]> {
  const runs = gateway.executions();
  const attempts = await eventually(
    async () => {
      const all = await gateway.attempts(id);
      return all.every((attempt) => attempt.finishedAt !== null) && all;
    },
    { what: 'all attempts end' },
  );
  return attempts.map((attempt) => {
    const run = runs.find(({ promptId }) => promptId === attempt.id);
    const truth = run ? (run.endedAt ?? Number.NaN) - run.startedAt : 0;
    return { ours: attempt.runMs ?? Number.NaN, truth };
  });
}

function expectEqual(measured: readonly { ours: number; truth: number }[]): void {
  for (const { ours, truth } of measured) {
    expect(ours).toBeGreaterThan(0);
    expect(Math.abs(ours - truth)).toBeLessThanOrEqual(SLACK_MS);
  }
}

const isRunning = (gateway: Rig) =>
  eventually(() => gateway.executions().some((run) => run.outcome === 'running'));

describe('an attempt’s time on the instance is the instance’s own', () => {
  it('when it succeeds, and the job has it too', async () => {
    const gateway = await startRig();
    const id = await gateway.submit(sleepGraph(0.3));
    const job = await gateway.ended(id);
    const measured = await times(gateway, id);
    expectEqual(measured);
    expect(job.runMs).toBe(measured[0]?.ours);
  });

  it('when it fails and is tried again, for each try', async () => {
    const nodeErrors = { SaveImage: { type: 'ValueError', message: 'no' } };
    const gateway = await startRig({ simulators: [{ faults: { nodeErrors } }] });
    const id = await gateway.submit(sleepGraph(0.2), { maxAttempts: 2 });
    const job = await gateway.ended(id);
    const measured = await times(gateway, id);
    expect(measured).toHaveLength(2);
    expectEqual(measured.slice(0, 1));
    // the second try finds the long node's result in the instance's cache, and may take no whole millisecond
    expect(Math.abs((measured[1]?.ours ?? -SLACK_MS) - (measured[1]?.truth ?? SLACK_MS))).toBeLessThanOrEqual(
      SLACK_MS,
    );
    expect(job.runMs).toBe(measured[1]?.ours);
  });

  it.each([false, true])('when it is canceled (without a socket: %s)', async (refuseSockets) => {
    const gateway = await startRig({ simulators: [{ faults: { refuseSockets } }] });
    const id = await gateway.submit(sleepGraph(20, 400));
    await isRunning(gateway);
    await eventually(async () => (await gateway.attempts(id))[0]?.state === 'RUNNING');
    await gateway.recorder.cancel(defaultViewer, id);
    expectEqual(await times(gateway, id));
    expect((await gateway.job(id)).runMs).toBeNull();
  });

  it.each(['is canceled', 'runs into its timeout'])(
    'when it %s, though a node takes its time to stop',
    async (end) => {
      const gateway = await startRig();
      const timeoutMs = end === 'is canceled' ? 60_000 : 300;
      const id = await gateway.submit(sleepGraph(10, 10), { maxAttempts: 1, timeoutMs });
      await isRunning(gateway);
      await eventually(async () => (await gateway.attempts(id))[0]?.state === 'RUNNING');
      if (end === 'is canceled') await gateway.recorder.cancel(defaultViewer, id);
      const measured = await times(gateway, id);
      expectEqual(measured);
      expect(measured[0]?.truth).toBeGreaterThan(900);
      const { status, runMs } = await gateway.job(id);
      expect({ status, runMs }).toEqual(
        end === 'is canceled'
          ? { status: 'CANCELED', runMs: null }
          : { status: 'FAILED', runMs: measured[0]?.ours },
      );
    },
  );

  it.each(['ends', 'is canceled'])('when it is adopted after a restart and then %s', async (end) => {
    const gateway = await startRig();
    const id = await gateway.submit(end === 'ends' ? sleepGraph(0.5, 10) : sleepGraph(20, 400));
    await isRunning(gateway);
    await gateway.shutDown();
    await gateway.boot();
    if (end === 'is canceled') await gateway.recorder.cancel(defaultViewer, id);
    await gateway.ended(id);
    expectEqual(await times(gateway, id));
    expect(gateway.executions()).toHaveLength(1);
  });
});

describe('an attempt’s time on the instance is as far as was heard', () => {
  it.each([false, true])('when its instance dies (adopted before: %s)', async (adopted) => {
    const gateway = await startRig();
    const id = await gateway.submit(sleepGraph(20, 400), { maxAttempts: 1 });
    await isRunning(gateway);
    if (adopted) {
      await gateway.shutDown();
      await gateway.boot();
    }
    const heard = await gateway.listen(id);
    const steps = () => heard.filter((one) => one.kind === 'job' && one.change.type === 'progress').length;
    await eventually(() => steps() > 3, { what: 'progress is heard' });
    await gateway.simulator.control.crash();
    await eventually(async () => (await gateway.job(id)).crashes === 1);
    await gateway.recorder.cancel(defaultViewer, id);
    const [first] = await times(gateway, id);
    expect(first?.ours).toBeGreaterThan(0);
    // an adopted one counts from when it was taken, as nobody heard it begin
    expect(first?.ours).toBeLessThanOrEqual((first?.truth ?? 0) + (adopted ? SLACK_MS : 1));
  });
});

it('is nothing where the attempt never ran on it', async () => {
  const gateway = await startRig({ simulators: [{ faults: { refusePrompts: 500 } }] });
  const id = await gateway.submit(sleepGraph(0.05), { maxAttempts: 1 });
  await gateway.ended(id);
  expect(await times(gateway, id)).toEqual([{ ours: 0, truth: 0 }]);
  expect((await gateway.job(id)).runMs).toBeNull();
});
