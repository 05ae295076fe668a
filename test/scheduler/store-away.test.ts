/** Jobs that run while the database goes away, comes back, or loses the answers to what it committed. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { defaultViewer } from '../../src/domain/viewer.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { openStore } from '../../src/store/open.ts';
import { storeTrouble } from '../../src/store/retryable.ts';
import { CommitThief } from '../support/commit-thief.ts';
import { eventually } from '../support/eventually.ts';
import { newJob } from '../support/new-job.ts';
import { openShakyStore } from '../support/shaky-store.ts';
import type { TcpChaos } from '../support/tcp-chaos.ts';
import type { TempStore } from '../support/temp-store.ts';
import { createTestDatabase } from '../support/test-database.ts';
import { type Rig, type RigOptions, sleepGraph, startRig } from './rig.ts';

/** A rig whose way to the database can be cut. */
async function rigBehindProxy(options: RigOptions = {}): Promise<{ rig: Rig; proxy: TcpChaos }> {
  const shaky = await openShakyStore();
  const temp = { ...shaky, openAnother: unwanted } satisfies TempStore;
  return { rig: await startRig({ ...options, temp }), proxy: shaky.proxy };
}

/** A rig whose commits can be robbed of their answers. */
async function rigWithThief(options: RigOptions = {}): Promise<{ rig: Rig; thief: CommitThief }> {
  const database = await createTestDatabase();
  const { thief, url } = await CommitThief.before(database.url);
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-robbed-'));
  const store = await openStore({ url, dataDir, logger: createLogger('silent') });
  const close = async (): Promise<void> => {
    await store.stop();
    await thief[Symbol.asyncDispose]();
    await database.drop();
    await rm(dataDir, { recursive: true, force: true });
  };
  const temp: TempStore = { store, dataDir, url, openAnother: unwanted, close };
  return { rig: await startRig({ ...options, temp }), thief };
}

const unwanted = async (): Promise<never> => {
  throw new Error('these tests need one store');
};

/** As a client does: again until it is told that it worked, under one key. */
async function submitSurely(rig: Rig, seconds: number): Promise<string> {
  const graph = sleepGraph(seconds, 2);
  const job = newJob('', { graph });
  const key = { key: JSON.stringify(graph), bodyHash: '' };
  return eventually(
    async () => {
      const id = `job-${Math.random()}`;
      const result = await rig.recorder.queue(defaultViewer, { ...job, id }, key).catch((error: unknown) => {
        expect(storeTrouble(error)).toBe('unavailable');
        return null;
      });
      return result && 'job' in result && result.job?.id;
    },
    { what: 'the submit is acknowledged' },
  );
}

const outageOver = (rig: Rig) => eventually(() => rig.store.healthy(), { what: 'the store is back' });

async function allEnd(rig: Rig, ids: readonly string[]): Promise<void> {
  for (const id of ids) expect((await rig.ended(id)).status).toBe('COMPLETED');
}

describe('a database that is away while jobs run', () => {
  it('for a moment: what runs goes on and is collected, what waits starts, nothing runs twice (F31)', async () => {
    const { rig, proxy } = await rigBehindProxy();
    const running = await rig.submit(sleepGraph(1));
    const waiting = await rig.submit(sleepGraph(0.05));
    await eventually(() => rig.executions().length === 1);
    await proxy.down();
    await expect(rig.submit(sleepGraph(0.05))).rejects.toSatisfy(
      (error) => storeTrouble(error) === 'unavailable',
    );
    await eventually(() => rig.executions()[0]?.outcome === 'success');
    await proxy.up();
    await outageOver(rig);
    const late = await rig.submit(sleepGraph(0.05));
    await allEnd(rig, [running, waiting, late]);
    expect(rig.executions()).toHaveLength(3);
    await rig.judged({ acknowledged: [running, waiting, late] });
  });

  it('for longer than the lease: the lead is let go, then taken again, and what ran is found (F31)', async () => {
    const { rig, proxy } = await rigBehindProxy({ config: { leaseTtlMs: 1000 } });
    const running = await rig.submit(sleepGraph(2));
    const waiting = await rig.submit(sleepGraph(0.05));
    await eventually(() => rig.executions().length === 1);
    await proxy.down();
    await eventually(() => !rig.scheduler.leads(), { what: 'the lead is given up' });
    await eventually(() => rig.executions()[0]?.outcome === 'success');
    await proxy.up();
    await allEnd(rig, [running, waiting]);
    expect(rig.executions()).toHaveLength(2);
    await rig.judged({ acknowledged: [running, waiting] });
  });

  it('over and over, and hanging in between: all that was acknowledged ends once (F31)', async () => {
    const { rig, proxy } = await rigBehindProxy({ simulators: [{}, {}] });
    const ids: string[] = [];
    for (let round = 0; round < 5; round++) {
      const submits = Promise.all([0.1, 0.2, 0.3].map((seconds) => submitSurely(rig, seconds)));
      if (round % 2 === 0) await proxy.down();
      else proxy.add('downstream', { type: 'bandwidth', bytesPerSecond: 0 });
      expect(await rig.store.healthy()).toBe(false);
      proxy.cut();
      proxy.clear();
      await proxy.up();
      ids.push(...(await submits));
    }
    await allEnd(rig, ids);
    expect(new Set(ids).size).toBe(15);
    await rig.judged({ acknowledged: ids });
  });
});

describe('a commit whose answer is lost', () => {
  it('that gave a job its place: it runs there at once, and counts as one attempt (F32)', async () => {
    const { rig, thief } = await rigWithThief();
    thief.arm('insert into "attempts"');
    const id = await rig.submit(sleepGraph(0.05));
    const job = await rig.ended(id);
    expect(thief.stolen).toBe(1);
    expect(job).toMatchObject({ status: 'COMPLETED', attemptCount: 1, crashes: 0 });
    expect(await rig.attempts(id)).toHaveLength(1);
    expect(rig.executions()).toHaveLength(1);
    await rig.judged({ acknowledged: [id] });
  });

  it('that ended a job: its subscribers are told to look (F32)', async () => {
    const { rig, thief } = await rigWithThief();
    const id = await rig.submit(sleepGraph(0.2));
    const heard = await rig.listen(id);
    thief.arm('"run_ms" =');
    await rig.ended(id);
    expect(thief.stolen).toBe(1);
    await eventually(() => heard.at(-1)?.kind === 'gap');
    expect(await rig.attempts(id)).toMatchObject([{ state: 'SUCCEEDED' }]);
  });

  it('again and again, of every kind: all jobs end once, as if nothing had been (F32)', async () => {
    const { rig, thief } = await rigWithThief({ simulators: [{}, {}] });
    let commits = 0;
    thief.armFor(() => ++commits % 3 === 0);
    const ids: string[] = [];
    for (let job = 0; job < 12; job++) ids.push(await submitSurely(rig, 0.05));
    await allEnd(rig, ids);
    thief.disarm();
    expect(thief.stolen).toBeGreaterThan(12);
    expect(new Set(ids).size).toBe(12);
    for (const id of ids) expect(await rig.attempts(id)).toHaveLength(1);
    expect(rig.executions()).toHaveLength(12);
    await rig.judged({ acknowledged: ids });
  });
});
