import { describe, expect, it } from 'vitest';
import type { NewJob } from '../../src/jobs/queue-writer.ts';
import type { JobsTable } from '../../src/store/schema.ts';
import { eventually } from '../support/eventually.ts';
import { type Rig, sleepGraph, startRig } from './rig.ts';

const RETRIES_LIMITED = 'much fails at the moment, so repeated attempts are limited to 10 % of all';
const NOT_ALONE = 'an instance went down with the job, so it waits for one without any other prompt';

/** Changes the row of a waiting job, and tells the scheduler so. */
async function change(gateway: Rig, jobId: string, changes: Partial<JobsTable>): Promise<void> {
  await gateway.store.db.updateTable('jobs').set(changes).where('id', '=', jobId).execute();
  gateway.bus.publish({ kind: 'hint', hint: 'job-queued', jobId });
}

/** A job that has a past when the scheduler hears of it first. */
async function submitWithPast(
  gateway: Rig,
  past: Partial<JobsTable>,
  differences: Partial<NewJob> = {},
  seconds = 0.02,
): Promise<string> {
  const { bus } = gateway;
  const publish = bus.publish.bind(bus);
  bus.publish = (message) => {
    if (message.kind !== 'hint') publish(message);
  };
  const id = await gateway.submit(sleepGraph(seconds), differences);
  bus.publish = publish;
  await change(gateway, id, past);
  return id;
}

/** A person queues a prompt of its own; answers the way to end it. */
async function somebodyWorks(gateway: Rig): Promise<() => Promise<void>> {
  const { url } = gateway.simulator;
  const post = async (path: string, body: object): Promise<void> => {
    const answer = await fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(body) });
    expect(answer.status).toBe(200);
  };
  await post('/prompt', { prompt: sleepGraph(60, 1200), client_id: 'a person' });
  await eventually(() => gateway.fleet.instances()[0]?.instance.foreignPrompts === 1);
  return () => post('/interrupt', {});
}

async function busy(gateway: Rig, seconds: number): Promise<string> {
  const id = await gateway.submit(sleepGraph(seconds));
  await eventually(() => gateway.executions().length === 1);
  return id;
}

/** Until the class of the jobs that wait is said to wait for this. */
async function waitsFor(gateway: Rig, reason: string): Promise<void> {
  await eventually(async () => {
    const rows = await gateway.store.db.selectFrom('needs').select('blocked_by').execute();
    return rows.some((row) => row.blocked_by === reason);
  });
}

describe('a job that waits for more than its turn', () => {
  it('waits for the retry budget, says so, and fails at its deadline with that reason (F44)', async () => {
    const gateway = await startRig();
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) {
      ids.push(await submitWithPast(gateway, { charged_attempts: 1, attempt_count: 1 }));
    }
    await waitsFor(gateway, RETRIES_LIMITED);
    const jobs = await Promise.all(ids.map((id) => gateway.job(id)));
    const left = jobs.filter((job) => job.status === 'PENDING').map((job) => job.id);
    expect(left).toHaveLength(2);
    const [late = '', patient = ''] = left;
    await change(gateway, late, { deadline_at: Date.now() });
    expect(await gateway.ended(late)).toMatchObject({
      status: 'FAILED',
      attemptCount: 1,
      error: { code: 'DEADLINE_EXCEEDED', message: expect.stringContaining(RETRIES_LIMITED) },
    });
    // first attempts of the same class are not held up
    expect((await gateway.ended(await gateway.submit(sleepGraph(0.02)))).status).toBe('COMPLETED');
    expect((await gateway.job(patient)).status).toBe('PENDING');
  });

  it('fails at its deadline while it backs off, saying that it did', async () => {
    const gateway = await startRig();
    const past = { charged_attempts: 1, attempt_count: 1, not_before: Date.now() + 60_000 };
    const id = await submitWithPast(gateway, past, { deadlineAt: Date.now() + 300 });
    const { error } = await gateway.ended(id);
    expect(error?.code).toBe('DEADLINE_EXCEEDED');
    expect(error?.message).toContain('an attempt failed, and the next one was not due yet');
  });

  it('waits for an empty instance when one went down with it, and fails at its deadline with that reason (F41)', async () => {
    const gateway = await startRig();
    const goHome = await somebodyWorks(gateway);
    const late = await submitWithPast(gateway, { crashes: 1 });
    const patient = await submitWithPast(gateway, { crashes: 1 });
    await waitsFor(gateway, NOT_ALONE);
    await change(gateway, late, { deadline_at: Date.now() });
    expect((await gateway.ended(late)).error).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: expect.stringContaining(NOT_ALONE),
    });
    expect((await gateway.job(patient)).status).toBe('PENDING');
    await goHome();
    expect((await gateway.ended(patient)).status).toBe('COMPLETED');
    const [foreign, ours] = gateway.executions();
    expect(foreign?.clientId).toBe('a person');
    expect(ours?.startedAt).toBeGreaterThanOrEqual(foreign?.endedAt ?? Number.POSITIVE_INFINITY);
  });

  it('has the whole instance to itself when one went down with it (F41)', async () => {
    const gateway = await startRig({ capacity: 3 });
    const blocker = await busy(gateway, 0.4);
    const suspect = await submitWithPast(gateway, { crashes: 1, attempt_count: 1 }, {}, 0.3);
    const others = await Promise.all([1, 2, 3, 4].map(() => gateway.submit(sleepGraph(0.02))));
    const jobs = await Promise.all([blocker, suspect, ...others].map((id) => gateway.ended(id)));
    expect(jobs.map((job) => job.status)).toEqual(jobs.map(() => 'COMPLETED'));
    const alone = (await gateway.attempts(suspect))[0];
    for (const id of [blocker, ...others]) {
      const attempt = (await gateway.attempts(id))[0];
      const before = (attempt?.finishedAt ?? Number.POSITIVE_INFINITY) <= (alone?.startedAt ?? 0);
      const after = (attempt?.startedAt ?? 0) >= (alone?.finishedAt ?? Number.POSITIVE_INFINITY);
      expect(before || after).toBe(true);
    }
  });

  it('fails at its deadline although the store took nothing at that moment', async () => {
    const gateway = await startRig();
    await busy(gateway, 30);
    const { store } = gateway;
    const original = store.transaction;
    let refused = 0;
    const refuse = async (): Promise<never> => {
      refused++;
      throw new Error('the disk is full');
    };
    const id = await gateway.submit(sleepGraph(0.02), { deadlineAt: Date.now() + 100 });
    Object.assign(store, { transaction: refuse });
    await eventually(() => refused > 0);
    Object.assign(store, { transaction: original });
    expect((await gateway.ended(id)).error?.code).toBe('DEADLINE_EXCEEDED');
  });

  it('is not touched by a deadline that passes while it runs', async () => {
    const gateway = await startRig();
    const id = await gateway.submit(sleepGraph(0.6, 10));
    await eventually(async () => (await gateway.attempts(id))[0]?.state === 'RUNNING');
    const deadlineAt = Date.now();
    await change(gateway, id, { deadline_at: deadlineAt });
    expect(await gateway.recorder.expire(id)).toBeNull();
    const job = await gateway.ended(id);
    expect(job).toMatchObject({ status: 'COMPLETED', attemptCount: 1 });
    expect(job.finishedAt).toBeGreaterThan(deadlineAt);
  });
});
