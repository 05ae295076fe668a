/** A gateway whose own storage cannot be read: what takes files waits for it at nobody's charge, everything else goes on. */
import { describe, expect, it } from 'vitest';
import type { FileRef, Graph } from '../../src/domain/graph.ts';
import { blockedReasons } from '../../src/store/needs.ts';
import { eventually } from '../support/eventually.ts';
import { FullStorage } from '../support/full-storage.ts';
import { hurriedClock } from '../support/hurried-clock.ts';
import { type Rig, sleepGraph, startRig } from './rig.ts';

const AWAY = 'the storage of the gateway does not answer';
const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

interface Scene {
  readonly gateway: Rig;
  readonly storage: FullStorage;
  readonly graph: (as: FileRef['as']) => Graph;
}

/** Storage holds a picture, and is then away. */
async function storageAway(): Promise<Scene> {
  let storage: FullStorage | undefined;
  const gateway = await startRig({
    simulators: [{}, {}],
    clock: hurriedClock(10),
    config: { leaseTtlMs: 100_000 },
    wrapStorage: (disk) => {
      storage = new FullStorage(disk);
      return storage;
    },
  });
  if (!storage) throw new Error('the rig made no storage');
  const put = await storage.put('default', [PICTURE], { maxBytes: 1000 });
  if (!put.stored) throw new Error(put.reason);
  put.pin.release();
  storage.room = 'away';
  const { sha256 } = put;
  const graph = (as: FileRef['as']): Graph => ({
    '1': {
      class_type: as === 'name' ? 'LoadImage' : 'ETN_LoadImageBase64',
      inputs: { image: { $file: { sha256, mimeType: 'image/png', as } } },
    },
    '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'x' } },
  });
  return { gateway, storage, graph };
}

const states = (gateway: Rig) => gateway.fleet.instances().map(({ breaker }) => breaker);

async function waitsForStorage(gateway: Rig, id: string): Promise<void> {
  const { needsKey } = await gateway.job(id);
  await eventually(async () => (await blockedReasons(gateway.store.db, [needsKey])).get(needsKey) === AWAY, {
    withinMs: 10_000,
    what: 'the job waits for storage',
  });
}

describe('jobs whose files lie in storage that is away', () => {
  it.each(['name', 'base64'] as const)(
    'wait for it at no charge, while others run, and complete once it is back (%s, F35)',
    async (as) => {
      const { gateway, storage, graph } = await storageAway();
      // with one attempt only: it is not used up
      const ids = await Promise.all(
        Array.from({ length: 4 }, () => gateway.submit(graph(as), { maxAttempts: 1 })),
      );
      await waitsForStorage(gateway, ids[0] as string);
      const other = await gateway.submit(sleepGraph(0.02));
      await eventually(() => gateway.executions()[0]?.outcome === 'success');
      for (const id of ids) {
        expect(await gateway.job(id)).toMatchObject({ status: 'PENDING', chargedAttempts: 0 });
        for (const attempt of await gateway.attempts(id)) {
          expect(attempt).toMatchObject({ charged: false, error: { code: 'STORAGE_UNAVAILABLE' } });
        }
      }
      // only those that had a place when it was found out have tried
      const tries = (await Promise.all(ids.map((id) => gateway.attempts(id)))).flat();
      expect(tries.length).toBeLessThanOrEqual(2);
      expect(gateway.executions()).toHaveLength(1);
      expect(states(gateway)).toEqual(['CLOSED', 'CLOSED']);

      storage.room = 'enough';
      for (const id of [...ids, other]) expect((await gateway.ended(id)).status).toBe('COMPLETED');
      expect(states(gateway)).toEqual(['CLOSED', 'CLOSED']);
      await gateway.judged({ acknowledged: [...ids, other] });
    },
  );

  it('wait until their deadline at most, and then say what they waited for', async () => {
    const { gateway, storage, graph } = await storageAway();
    const first = await gateway.submit(graph('name'));
    await waitsForStorage(gateway, first);
    const { createdAt } = await gateway.job(first);
    const late = await gateway.submit(graph('name'), { deadlineAt: createdAt + 1 });
    const job = await gateway.ended(late);
    expect(job).toMatchObject({ status: 'FAILED', attemptCount: 0, error: { code: 'DEADLINE_EXCEEDED' } });
    expect(job.error?.message).toContain(AWAY);
    storage.room = 'enough';
    expect((await gateway.ended(first)).status).toBe('COMPLETED');
    await gateway.judged({ acknowledged: [first, late] });
  });

  it('wait under the next leader as well, which finds out by itself', async () => {
    const { gateway, storage, graph } = await storageAway();
    const kept = await gateway.submit(graph('name'), { maxAttempts: 1 });
    await waitsForStorage(gateway, kept);
    await gateway.shutDown();
    await gateway.boot();
    await waitsForStorage(gateway, kept);
    await eventually(async () => (await gateway.attempts(kept)).length === 2, { withinMs: 10_000 });
    storage.room = 'enough';
    expect(await gateway.ended(kept)).toMatchObject({ status: 'COMPLETED', chargedAttempts: 1 });
    expect(states(gateway)).toEqual(['CLOSED', 'CLOSED']);
    await gateway.judged({ acknowledged: [kept] });
  });
});
