/** What jobs notice of instances that are not heard of, or on which much fails. */
import { describe, expect, it } from 'vitest';
import { defaultViewer } from '../../src/domain/viewer.ts';
import { eventually } from '../support/eventually.ts';
import { failingGraph, type Rig, sleepGraph, startRig } from './rig.ts';

async function ready(rig: Rig): Promise<void> {
  await eventually(() => rig.fleet.instances().every((one) => one.answering && one.inventory));
}

describe('an instance of which nothing is heard any more', () => {
  it('gets no job from the interval of the probes on, before any probe has failed', async () => {
    const rig = await startRig({ simulators: [{}, {}], config: { probeTimeoutMs: 10_000 } });
    await ready(rig);
    rig.simulator.control.setFaults({ frozen: true });
    const [frozen] = rig.fleet.instances();
    await eventually(() => rig.fleet.instances()[0]?.stale);
    const ids = await Promise.all([1, 2, 3, 4].map(() => rig.submit(sleepGraph(0.02))));
    for (const id of ids) {
      expect(await rig.ended(id)).toMatchObject({ status: 'COMPLETED', attemptCount: 1 });
      expect((await rig.attempts(id))[0]?.instanceId).not.toBe(frozen?.instance.id);
    }
    expect(rig.fleet.instances()[0]).toMatchObject({ answering: true, stale: true });
    rig.simulator.control.setFaults({ frozen: false });
    await rig.judged();
  });

  it('is asked at once when a job waits, and gets it when it answers', async () => {
    const rig = await startRig({ config: { probeIntervalMs: 2000, comfyuiWebsocket: false } });
    await ready(rig);
    await eventually(() => rig.fleet.instances()[0]?.stale, { withinMs: 30_000 });
    expect((await rig.ended(await rig.submit(sleepGraph(0.02)))).status).toBe('COMPLETED');
    await rig.judged();
  });
});

describe('jobs that fail at once on every instance', () => {
  it('put aside one of two, and are not repeated while they would put aside the other; new jobs still run', async () => {
    const rig = await startRig({ simulators: [{}, {}], config: { breakerThreshold: 1 } });
    await ready(rig);
    const bad = await Promise.all(
      [1, 2, 3, 4, 5, 6].map((n) => rig.submit(failingGraph('ValueError', 'no'), { workflow: `w${n}` })),
    );
    await eventually(() => rig.fleet.isPanic);
    expect(rig.fleet.instances().filter((one) => one.breaker === 'OPEN')).toHaveLength(1);
    const rows = () => rig.store.db.selectFrom('needs').select('blocked_by').execute();
    await eventually(async () =>
      (await rows()).some((row) => row.blocked_by?.startsWith('much fails on most instances')),
    );
    expect((await rig.ended(await rig.submit(sleepGraph(0.02)))).status).toBe('COMPLETED');
    for (const id of bad) await rig.recorder.cancel(defaultViewer, id);
    await rig.judged();
  });
});
