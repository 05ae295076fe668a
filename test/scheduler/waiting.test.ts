import { describe, expect, it } from 'vitest';
import type { JobsTable } from '../../src/store/schema.ts';
import { eventually } from '../support/eventually.ts';
import { type Rig, sleepGraph, startRig } from './rig.ts';

const RETRIES_LIMITED = 'much fails at the moment, so repeated attempts are limited to 10 % of all';
const NOT_ALONE = 'an instance went down with the job, so it waits for one without any other prompt';

/** Gives a waiting job a past, and tells the scheduler that its row changed. */
async function withPast(gateway: Rig, jobId: string, past: Partial<JobsTable>): Promise<void> {
  await gateway.store.db.updateTable('jobs').set(past).where('id', '=', jobId).execute();
  gateway.bus.publish({ kind: 'hint', hint: 'job-queued', jobId });
}

/** A person queues a prompt of its own. */
async function somebodyWorks(gateway: Rig, seconds: number): Promise<void> {
  const { url } = gateway.simulator;
  const prompt = { prompt: sleepGraph(seconds), client_id: 'a person' };
  const answer = await fetch(`${url}/prompt`, { method: 'POST', body: JSON.stringify(prompt) });
  expect(answer.status).toBe(200);
  await eventually(() => gateway.fleet.instances()[0]?.instance.foreignPrompts === 1);
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
    await busy(gateway, 0.4);
    const ids = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const id = await gateway.submit(sleepGraph(0.02));
        await withPast(gateway, id, { charged_attempts: 1, attempt_count: 1 });
        return id;
      }),
    );
    await waitsFor(gateway, RETRIES_LIMITED);
    const jobs = await Promise.all(ids.map((id) => gateway.job(id)));
    const left = jobs.filter((job) => job.status === 'PENDING').map((job) => job.id);
    expect(left).toHaveLength(2);
    const [late = '', patient = ''] = left;
    await withPast(gateway, late, { deadline_at: Date.now() });
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
    await busy(gateway, 0.5);
    const id = await gateway.submit(sleepGraph(0.02), { deadlineAt: Date.now() + 700 });
    await withPast(gateway, id, { charged_attempts: 1, attempt_count: 1, not_before: Date.now() + 60_000 });
    const { error } = await gateway.ended(id);
    expect(error?.code).toBe('DEADLINE_EXCEEDED');
    expect(error?.message).toContain('an attempt failed, and the next one was not due yet');
  });

  it('waits for an empty instance when one went down with it, and fails at its deadline with that reason (F41)', async () => {
    const gateway = await startRig();
    await busy(gateway, 0.8);
    // it runs when our job has ended
    await somebodyWorks(gateway, 1);
    const late = await gateway.submit(sleepGraph(0.02));
    const patient = await gateway.submit(sleepGraph(0.02));
    for (const id of [late, patient]) await withPast(gateway, id, { crashes: 1 });
    await waitsFor(gateway, NOT_ALONE);
    await withPast(gateway, late, { deadline_at: Date.now() });
    expect((await gateway.ended(late)).error).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: expect.stringContaining(NOT_ALONE),
    });
    expect((await gateway.ended(patient)).status).toBe('COMPLETED');
    const [, foreign, ours] = gateway.executions();
    expect(foreign?.clientId).toBe('a person');
    expect(ours?.startedAt).toBeGreaterThanOrEqual(foreign?.endedAt ?? Number.POSITIVE_INFINITY);
  });

  it('has the whole instance to itself when one went down with it (F41)', async () => {
    const gateway = await startRig({ capacity: 3 });
    const blocker = await busy(gateway, 0.4);
    const suspect = await gateway.submit(sleepGraph(0.3));
    await withPast(gateway, suspect, { crashes: 1, attempt_count: 1 });
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

  it('is not touched by a deadline that passes while it runs', async () => {
    const gateway = await startRig();
    const deadlineAt = Date.now() + 600;
    const id = await gateway.submit(sleepGraph(1, 10), { deadlineAt });
    await eventually(async () => (await gateway.attempts(id))[0]?.state === 'RUNNING');
    const job = await gateway.ended(id);
    expect(job).toMatchObject({ status: 'COMPLETED', attemptCount: 1 });
    expect(job.finishedAt).toBeGreaterThan(deadlineAt);
  });
});
