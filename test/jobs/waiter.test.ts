import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createWaiter, type Waiter } from '../../src/jobs/waiter.ts';
import type { Db } from '../../src/store/open.ts';
import { eventually } from '../support/eventually.ts';
import { ENGINES } from '../support/temp-store.ts';
import { flush } from '../support/virtual-clock.ts';
import { openRig, type Rig, stranger, viewer } from './submission-rig.ts';

let rig: Rig;
let waiter: Waiter;
let jobId: string;
describe.each(ENGINES)('on %s', (engine) => {
  beforeEach(async () => {
    rig = await openRig(engine);
    waiter = createWaiter(rig);
    const result = await rig.submitter.submit(viewer, { workflow: 'generateImage', inputs: { prompt: 'x' } });
    if (result.kind !== 'submitted') throw new Error(result.kind);
    jobId = result.job.id;
  });
  afterEach(async () => {
    // Whatever way a wait ends, it leaves neither a timer nor a listener.
    expect(rig.clock.pending).toBe(0);
    expect(rig.bus.topicCount).toBe(0);
    await rig.close();
  });

  /** Resolves once the waiter listens and has read the row. */
  async function listening(): Promise<void> {
    while (rig.bus.topicCount === 0) await flush();
    await flush();
  }

  /** Waits on a store that can be taken away; `reads` counts how often it was asked. */
  function shaky() {
    const state: { away: Error | null; reads: number } = { away: null, reads: 0 };
    const store = {
      get db(): Db {
        state.reads += 1;
        if (state.away) throw state.away;
        return rig.store.db;
      },
    };
    return { state, waiter: createWaiter({ ...rig, store }) };
  }
  const AWAY = Object.assign(new Error('terminating connection'), { code: '57P01' });

  describe('waiting while the store goes away', () => {
    it('goes on reading, and ends with the job once the store is back', async () => {
      const { state, waiter } = shaky();
      const waiting = waiter.untilEnded(viewer, jobId, 30_000);
      await listening();
      state.away = AWAY;
      await eventually(() => {
        rig.bus.missed();
        return state.reads > 1;
      });
      await rig.clock.advance(3_000);
      expect(state.reads).toBeGreaterThan(4);
      state.away = null;
      await rig.recorder.cancel(viewer, jobId);
      await rig.clock.advance(1_000);
      expect(await waiting).toMatchObject({ status: 'CANCELED' });
    });

    it('gives up when its time is over, after a last look', async () => {
      const { state, waiter } = shaky();
      state.away = AWAY;
      const waiting = waiter.untilEnded(viewer, jobId, 1_500);
      const refused = expect(waiting).rejects.toBe(AWAY);
      await rig.clock.advance(1_499);
      const { reads } = state;
      await rig.clock.advance(1);
      await refused;
      expect(state.reads).toBe(reads + 1);
    });

    it('does not wait on what will not pass', async () => {
      const { state, waiter } = shaky();
      state.away = new Error('no such column');
      await expect(waiter.untilEnded(viewer, jobId, 30_000)).rejects.toBe(state.away);
    });
  });

  describe('waiting for the end of a job', () => {
    it('ends with the job when it ends', async () => {
      const waiting = waiter.untilEnded(viewer, jobId, 10_000);
      await listening();
      await rig.recorder.cancel(viewer, jobId);
      expect(await waiting).toMatchObject({ id: jobId, status: 'CANCELED' });
    });

    it('answers at once when it has ended already', async () => {
      await rig.recorder.cancel(viewer, jobId);
      expect(await waiter.untilEnded(viewer, jobId, 10_000)).toMatchObject({ status: 'CANCELED' });
    });

    it('answers after the time, 60 s at most, with the job as it then stands', async () => {
      const waiting = waiter.untilEnded(viewer, jobId, 1e9);
      await listening();
      await rig.clock.advance(59_999);
      expect(rig.clock.pending).toBe(1);
      await rig.clock.advance(1);
      expect(await waiting).toMatchObject({ status: 'PENDING' });
    });

    it('finds an end that no message told of, once the time is over', async () => {
      const waiting = waiter.untilEnded(viewer, jobId, 1_000);
      await listening();
      await rig.store.db.updateTable('jobs').set({ status: 'FAILED' }).where('id', '=', jobId).execute();
      await rig.clock.advance(1_000);
      expect(await waiting).toMatchObject({ status: 'FAILED' });
    });

    it('reads the row again after a gap', async () => {
      const waiting = waiter.untilEnded(viewer, jobId, 10_000);
      await listening();
      await rig.store.db.updateTable('jobs').set({ status: 'COMPLETED' }).where('id', '=', jobId).execute();
      // More than a mailbox holds, none of which speaks of an end.
      const change = { type: 'durable', event: { type: 'queued' } } as const;
      for (let seq = 0; seq < 300; seq++)
        rig.bus.publish({ kind: 'job', jobId, tenant: viewer.tenant, seq, at: 0, change });
      expect(await waiting).toMatchObject({ status: 'COMPLETED' });
    });

    it('is ended by its signal, and cancels nothing', async () => {
      const abort = new AbortController();
      const waiting = waiter.untilEnded(viewer, jobId, 10_000, abort.signal);
      await listening();
      abort.abort();
      expect(await waiting).toMatchObject({ status: 'PENDING' });
    });

    it("answers null for a job that is deleted meanwhile, or is not the viewer's", async () => {
      const waiting = waiter.untilEnded(viewer, jobId, 10_000);
      await listening();
      await rig.store.db.deleteFrom('jobs').where('id', '=', jobId).execute();
      rig.bus.publish({ kind: 'job', jobId, tenant: 'default', seq: 9, at: 0, change: { type: 'deleted' } });
      expect(await waiting).toBeNull();
      expect(await waiter.untilEnded(stranger, jobId, 10_000)).toBeNull();
    });
  });
});
