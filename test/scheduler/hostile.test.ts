/** Instances that answer with nonsense: whatever they say, each job ends with an honest word and the process lives. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it, onTestFinished } from 'vitest';
import { randomFrom } from '../../chaos/scenario.ts';
import { FAULTS } from '../../src/domain/fault.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { assertHistory } from '../support/history-checker.ts';
import { type HostileInstance, startHostileInstance } from '../support/hostile-instance.ts';
import { type Rig, sleepGraph, startRig } from './rig.ts';

const JOBS = 60;

describe('instances whose every answer may be an attack (F10)', () => {
  it('end their jobs with a result or a typed fault, in bounded memory', async () => {
    const enemies = await Promise.all([1, 2, 3, 4].map(enemy));
    const rig = await rigWith(enemies);
    const heapBefore = heapAfterGc();

    const ids = await Promise.all(
      Array.from({ length: JOBS }, () =>
        rig.submit(sleepGraph(0.03, 3), { timeoutMs: 1000, maxAttempts: 2 }),
      ),
    );
    const jobs = await Promise.all(ids.map((id) => rig.ended(id, 80_000)));

    expect(heapAfterGc() - heapBefore).toBeLessThan(200e6);
    for (const job of jobs) {
      if (job.status === 'COMPLETED') expect((await rig.outputs(job.id)).length).toBeGreaterThan(0);
      else expect(Object.keys(FAULTS)).toContain(job.error?.code);
      expect(job.error?.code).not.toBe('INTERNAL');
    }
    expect(new Set(enemies.flatMap(({ done }) => [...done.keys()])).size).toBeGreaterThan(20);
    await rig.scheduler.stop();
    await assertHistory(rig.store.db, { acknowledged: ids, calm: false });
  }, 120_000);
});

async function enemy(seed: number): Promise<HostileInstance> {
  const instance = await startHostileInstance({ random: randomFrom(seed), longestHangMs: 200 });
  onTestFinished(() => instance.stop());
  return instance;
}

async function rigWith(enemies: readonly HostileInstance[]): Promise<Rig> {
  const good = await startSimulator();
  onTestFinished(() => good.stop());
  const comfyuiInstances = [
    { name: 'good', url: good.url, capacity: 1 },
    ...enemies.map(({ url }, n) => ({ name: `enemy${n}`, url, capacity: 6 })),
  ];
  return startRig({
    simulators: [],
    config: {
      comfyuiInstances,
      unreachableLostMs: 800,
      stalledStartMs: 1000,
      breakerThreshold: 1000,
      breakerOpenMs: 50,
      retryBudgetPercent: 100,
    },
  });
}

const gc = (() => {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
})();

function heapAfterGc(): number {
  gc();
  return process.memoryUsage().heapUsed;
}
