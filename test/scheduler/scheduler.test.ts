import { describe, expect, it } from 'vitest';
import type { JobMessage } from '../../src/events/messages.ts';
import { queueTopic } from '../../src/events/topics.ts';
import { eventually } from '../support/eventually.ts';
import { sleepGraph, startRig } from './rig.ts';

function jobMessages(heard: readonly { kind: string }[]): JobMessage[] {
  return heard.filter((message): message is JobMessage => message.kind === 'job');
}

describe('the scheduler', () => {
  it('runs a job on an instance and stores what it made', async () => {
    const gateway = await startRig();
    const id = await gateway.submit(sleepGraph(0.05));
    const job = await gateway.ended(id);
    expect(job).toMatchObject({ status: 'COMPLETED', error: null, attemptCount: 1 });
    expect(job.runMs).toBeGreaterThan(0);
    const [output] = await gateway.outputs(id);
    expect(output).toMatchObject({ node: '2', kind: 'image', mimeType: 'image/png', temporary: false });
    expect(await gateway.storage.stat('default', output?.sha256 ?? '')).toEqual({ bytes: output?.bytes });
    expect(gateway.executions().map((one) => one.promptId)).toEqual([(await gateway.attempts(id))[0]?.id]);
  });

  it('writes of an attempt that lasts that its instance runs it', async () => {
    const gateway = await startRig();
    const id = await gateway.submit(sleepGraph(0.6, 20));
    const running = await eventually(async () =>
      (await gateway.attempts(id)).find(({ state }) => state === 'RUNNING'),
    );
    expect(running.runningAt).toBeGreaterThanOrEqual(running.startedAt);
    expect((await gateway.ended(id)).status).toBe('COMPLETED');
  });

  it('tells every step of a sampler as progress that never falls, with the time that remains', async () => {
    const gateway = await startRig();
    const blocker = await gateway.submit(sleepGraph(0.1));
    const id = await gateway.submit(sleepGraph(0.4, 20, 'JPEG'));
    const heard = await gateway.listen(id);
    await gateway.ended(blocker);
    await gateway.ended(id);
    const changes = jobMessages(heard).map((message) => message.change);
    const progress = changes.flatMap((change) => (change.type === 'progress' ? [change.progress] : []));
    const fractions = progress.map((one) => one.fraction);
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    expect(new Set(fractions).size).toBeGreaterThanOrEqual(15);
    expect(fractions.at(-1)).toBe(1);
    const stepping = progress.filter((one) => one.node === '1' && (one.step ?? 0) >= 2);
    expect(stepping.length).toBeGreaterThanOrEqual(15);
    for (const one of stepping) {
      expect(one).toMatchObject({ nodeType: 'RigSleep', totalSteps: 20 });
      expect(one.remainingMs).toBeGreaterThanOrEqual(0);
    }
    const previews = changes.flatMap((change) =>
      change.type === 'preview' ? [change.preview.revision] : [],
    );
    expect(previews.length).toBeGreaterThanOrEqual(3);
    expect(previews).toEqual([...new Set(previews)].sort((a, b) => a - b));
    expect(changes.some((change) => change.type === 'node' && change.node === '1')).toBe(true);
  });

  it('numbers live messages with the cursor of the durable event before them', async () => {
    const gateway = await startRig();
    const blocker = await gateway.submit(sleepGraph(0.05));
    const id = await gateway.submit(sleepGraph(0.1));
    const heard = await gateway.listen(id);
    await gateway.ended(blocker);
    await gateway.ended(id);
    const messages = jobMessages(heard);
    let cursor = 1;
    for (const message of messages) {
      if (message.change.type === 'durable') {
        expect(message.seq).toBe(cursor + 1);
        cursor = message.seq;
      } else expect(message.seq).toBeLessThanOrEqual(cursor);
    }
    expect(messages.at(-1)?.change).toMatchObject({
      type: 'durable',
      event: { type: 'finished', status: 'COMPLETED' },
    });
  });

  it('leaves nothing of a run on the bus once it has ended', async () => {
    const gateway = await startRig();
    const id = await gateway.submit(sleepGraph(0.1, 5, 'JPEG'));
    await gateway.ended(id);
    expect((await gateway.bus.latest([id])).get(id)).toBeUndefined();
  });

  it('spreads jobs over the instances, one at a time on each', async () => {
    const gateway = await startRig({ simulators: [{}, {}, {}] });
    const ids = await Promise.all(Array.from({ length: 12 }, () => gateway.submit(sleepGraph(0.1))));
    const jobs = await Promise.all(ids.map((id) => gateway.ended(id)));
    expect(jobs.map((job) => job.status)).toEqual(Array(12).fill('COMPLETED'));
    for (const { control } of gateway.simulators) {
      const runs = control.executions();
      // who answers first may get a job more than the others
      expect(runs.length).toBeGreaterThanOrEqual(2);
      for (const [index, run] of runs.entries()) {
        expect(run.startedAt).toBeGreaterThanOrEqual(runs[index - 1]?.endedAt ?? 0);
      }
    }
  });

  it('serves the highest priority first and equal ones by arrival', async () => {
    const gateway = await startRig();
    const blocker = await gateway.submit(sleepGraph(0.3));
    await eventually(async () => (await gateway.job(blocker)).status === 'PROCESSING');
    const low = await gateway.submit(sleepGraph(0.02), { priority: 1 });
    const first = await gateway.submit(sleepGraph(0.02));
    const second = await gateway.submit(sleepGraph(0.02));
    const top = await gateway.submit(sleepGraph(0.02), { priority: 10 });
    await Promise.all([low, first, second, top].map((id) => gateway.ended(id)));
    const order = await Promise.all(
      gateway.executions().map(async (run) => {
        const all = [blocker, low, first, second, top];
        const attempts = await Promise.all(all.map((id) => gateway.attempts(id)));
        return all[attempts.findIndex((list) => list.some((attempt) => attempt.id === run.promptId))];
      }),
    );
    expect(order).toEqual([blocker, top, first, second, low]);
  });

  it('keeps to the limit of the whole fleet', async () => {
    const gateway = await startRig({ simulators: [{}, {}], config: { maxConcurrentJobs: 1 } });
    const ids = await Promise.all(Array.from({ length: 4 }, () => gateway.submit(sleepGraph(0.05))));
    await Promise.all(ids.map((id) => gateway.ended(id)));
    const runs = gateway.executions().sort((a, b) => a.startedAt - b.startedAt);
    for (const [index, run] of runs.entries()) {
      const before = runs[index - 1];
      if (before) expect(run.startedAt).toBeGreaterThanOrEqual(before.endedAt ?? Number.POSITIVE_INFINITY);
    }
  });

  it('fills a wide instance, although one plan places only so many', async () => {
    const gateway = await startRig({ capacity: 40 });
    const ids = await Promise.all(Array.from({ length: 40 }, () => gateway.submit(sleepGraph(30))));
    await eventually(async () => {
      const attempts = await Promise.all(ids.map((id) => gateway.attempts(id)));
      return attempts.every((of) => of.length === 1);
    });
  });

  it('gives two identical jobs files of their own', async () => {
    const gateway = await startRig();
    const graph = sleepGraph(0.02);
    const ids = [await gateway.submit(graph), await gateway.submit(graph)];
    for (const id of ids) expect((await gateway.ended(id)).status).toBe('COMPLETED');
    const names = (await Promise.all(ids.map((id) => gateway.outputs(id)))).flat().map((one) => one.id);
    expect(new Set(names).size).toBe(2);
  });

  it('says why jobs wait while no instance is up, and runs them once one answers', async () => {
    const gateway = await startRig();
    await gateway.simulator.control.crash();
    await eventually(() => gateway.fleet.instances()[0]?.instance.health === 'UNHEALTHY');
    const id = await gateway.submit(sleepGraph(0.02));
    const queue = await gateway.bus.subscribe([queueTopic]);
    const reason = await eventually(async () => {
      const row = await gateway.store.db.selectFrom('needs').selectAll().executeTakeFirst();
      return row?.blocked_by;
    });
    expect(reason).toBe('no healthy instance (1 of 1 is starting or down)');
    expect((await queue.next()).value).toMatchObject({ kind: 'queue' });
    queue.close();
    await gateway.simulator.control.restart();
    expect((await gateway.ended(id)).status).toBe('COMPLETED');
    await eventually(async () => {
      const row = await gateway.store.db.selectFrom('needs').selectAll().executeTakeFirst();
      return row?.blocked_by === null;
    });
    expect(gateway.fleet.instances()[0]?.instance.health).toBe('HEALTHY');
  });

  it('says which model is missing', async () => {
    const gateway = await startRig();
    await eventually(() => gateway.fleet.instances()[0]?.inventory);
    const id = await gateway.submit({
      '1': { class_type: 'UpscaleModelLoader', inputs: { model_name: 'nowhere.pth' } },
      '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'x' } },
    });
    const { needsKey } = await gateway.job(id);
    const reason = await eventually(async () => {
      const rows = await gateway.store.db.selectFrom('needs').selectAll().execute();
      return rows.find((row) => row.needs_key === needsKey)?.blocked_by;
    });
    expect(reason).toBe('no healthy instance has model nowhere.pth (sim0 lacks it)');
    const other = await gateway.submit(sleepGraph(0.02));
    expect((await gateway.ended(other)).status).toBe('COMPLETED');
    expect((await gateway.job(id)).status).toBe('PENDING');
  });

  it('fails a job whose deadline passes while it waits, with what it waited for', async () => {
    const gateway = await startRig({ simulators: [], urls: ['http://127.0.0.1:9'] });
    await eventually(() => gateway.fleet.instances()[0]?.instance.health === 'UNHEALTHY');
    const id = await gateway.submit(sleepGraph(0.02), { deadlineAt: Date.now() + 500 });
    const job = await gateway.ended(id);
    expect(job.error?.code).toBe('DEADLINE_EXCEEDED');
    expect(job.error?.message).toContain('no healthy instance');
  });

  it('leaves prompts of others alone and counts them', async () => {
    const gateway = await startRig();
    const { url, control } = gateway.simulator;
    const foreign = { prompt: sleepGraph(0.5), client_id: 'a person' };
    const answer = await fetch(`${url}/prompt`, { method: 'POST', body: JSON.stringify(foreign) });
    expect(answer.status).toBe(200);
    await eventually(() => gateway.fleet.instances()[0]?.instance.foreignPrompts === 1);
    const id = await gateway.submit(sleepGraph(0.02));
    expect((await gateway.ended(id)).status).toBe('COMPLETED');
    expect(control.executions().map((run) => run.outcome)).toEqual(['success', 'success']);
  });

  it('stops at once and leaves what runs to the next start, which runs nothing twice', async () => {
    const gateway = await startRig();
    const id = await gateway.submit(sleepGraph(1, 20));
    await eventually(async () => (await gateway.attempts(id))[0]?.state === 'RUNNING');
    await gateway.shutDown();
    expect((await gateway.job(id)).status).toBe('PROCESSING');
    await gateway.boot();
    const heard = await gateway.listen(id);
    expect((await gateway.ended(id)).status).toBe('COMPLETED');
    expect(gateway.executions()).toHaveLength(1);
    expect(await gateway.outputs(id)).toHaveLength(1);
    expect(jobMessages(heard).some((message) => message.change.type === 'progress')).toBe(true);
  });

  it('adopts a run that ended while nobody was there', async () => {
    const gateway = await startRig();
    const id = await gateway.submit(sleepGraph(0.3));
    await eventually(async () => (await gateway.attempts(id))[0]?.state === 'RUNNING');
    await gateway.shutDown();
    await eventually(() => gateway.executions()[0]?.outcome === 'success');
    await gateway.boot();
    expect((await gateway.ended(id)).status).toBe('COMPLETED');
    expect(gateway.executions()).toHaveLength(1);
  });
});
