/** What the recorder notes for the figures, in the transaction of each change. Walks of all kinds: recorder-invariants. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FAULTS, fault } from '../../src/domain/fault.ts';
import type { MetricFact } from '../../src/domain/metric-fact.ts';
import { findAttempt } from '../../src/store/attempts.ts';
import { findJob } from '../../src/store/jobs.ts';
import { newJob } from '../support/new-job.ts';
import { ENGINES } from '../support/temp-store.ts';
import { takeAllFacts } from './facts-of-rows.ts';
import { alice, assignment, type Bench, openBench, TERM } from './recorder-bench.ts';

const RETRY = { kind: 'retry', notBefore: 5, delayMs: 5 } as const;
const FINAL = { kind: 'final' } as const;

describe.each(ENGINES)('the facts of a job on %s', (engine) => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await openBench(engine);
  });
  afterEach(() => bench.close());

  const common = { tenant: 'a', workflow: 'portrait' };
  const taken = (): Promise<MetricFact[]> => takeAllFacts(bench.store);
  const now = (): number => bench.clock.now();
  /** A job that runs, its facts so far taken. */
  async function started(): Promise<{ jobId: string; attemptId: string }> {
    const ids = await bench.started(0, { workflow: 'portrait' });
    await taken();
    return ids;
  }

  it('tell of the submit, and of the wait once the first attempt starts', async () => {
    const jobId = await bench.waiting({ workflow: 'portrait' });
    expect(await taken()).toEqual([{ kind: 'submitted', at: now(), ...common }]);
    await bench.clock.advance(1500);
    const attemptId = bench.ids();
    await bench.recorder.assign(assignment(jobId, attemptId));
    expect(await taken()).toEqual([
      { kind: 'started', at: now(), ...common, instanceId: 'i1', queueMs: 1500 },
    ]);
    await bench.recorder.fail(attemptId, TERM, fault('NODE_FAILED'), RETRY, 40);
    await taken();
    await bench.recorder.assign(assignment(jobId, bench.ids()));
    expect(await taken()).toEqual([]);
  });

  it('tell of a completed job with its time on the instance', async () => {
    const { attemptId, jobId } = await started();
    await bench.clock.advance(700);
    await bench.recorder.collecting(attemptId, TERM);
    await bench.recorder.complete(attemptId, TERM, 612.4);
    const where = { at: now(), ...common, instanceId: 'i1', code: null, runMs: 612 };
    expect(await taken()).toEqual([
      { kind: 'attempt-ended', ...where, outcome: 'SUCCEEDED', counted: true },
      { kind: 'ended', ...where, status: 'COMPLETED', message: null },
    ]);
    expect(await findAttempt(bench.store.db, attemptId)).toMatchObject({ runMs: 612 });
    expect(await findJob(bench.store.db, 'any', jobId)).toMatchObject({ runMs: 612 });
  });

  it('keep the time of an attempt that is tried again, which counts for no job', async () => {
    const { attemptId, jobId } = await started();
    await bench.recorder.fail(attemptId, TERM, fault('OUT_OF_MEMORY'), RETRY, 333);
    const where = { at: now(), ...common, instanceId: 'i1', code: 'OUT_OF_MEMORY', runMs: 333 };
    expect(await taken()).toEqual([{ kind: 'attempt-ended', ...where, outcome: 'FAILED', counted: false }]);
    expect(await findAttempt(bench.store.db, attemptId)).toMatchObject({ runMs: 333 });
    expect(await findJob(bench.store.db, 'any', jobId)).toMatchObject({ status: 'PENDING', runMs: null });
  });

  it('tell of a failed job by what it was told, and of its attempt by what happened to that', async () => {
    const { attemptId, jobId } = await started();
    const decision = { ...FINAL, verdict: fault('POISON', 'it took three instances down') };
    await bench.recorder.lose(attemptId, TERM, fault('INSTANCE_CRASHED'), decision, 90);
    const where = { at: now(), ...common, instanceId: 'i1', runMs: 90 };
    expect(await taken()).toEqual([
      { kind: 'attempt-ended', ...where, outcome: 'LOST', code: 'INSTANCE_CRASHED', counted: true },
      { kind: 'ended', ...where, status: 'FAILED', code: 'POISON', message: FAULTS.POISON.message },
    ]);
    expect(await findJob(bench.store.db, 'any', jobId)).toMatchObject({ runMs: 90 });
  });

  it('repeat nothing that a node said: it may hold inputs of the job', async () => {
    const { attemptId } = await started();
    const said = fault('NODE_FAILED', 'no such style: a secret wish', { nodeId: '7', nodeType: 'Styler' });
    await bench.recorder.fail(attemptId, TERM, said, FINAL, 5);
    expect((await taken())[1]).toMatchObject({ code: 'NODE_FAILED', message: 'a node failed (Styler)' });
  });

  it('say no time of a job whose last attempt never ran on its instance', async () => {
    const { attemptId, jobId } = await started();
    await bench.recorder.fail(attemptId, TERM, fault('UPLOAD_FAILED'), FINAL);
    expect(await taken()).toMatchObject([
      { kind: 'attempt-ended', runMs: 0, counted: true },
      { kind: 'ended', code: 'UPLOAD_FAILED', runMs: null },
    ]);
    expect(await findJob(bench.store.db, 'any', jobId)).toMatchObject({ runMs: null });
  });

  it('tell of a cancel at once, and of its attempt when the instance is free, even if the job is gone', async () => {
    const { attemptId, jobId } = await started();
    await bench.recorder.cancel(alice, jobId);
    const canceled = { at: now(), ...common, instanceId: 'i1', code: null };
    expect(await taken()).toEqual([
      { kind: 'ended', ...canceled, status: 'CANCELED', message: null, runMs: null },
    ]);
    expect((await bench.recorder.remove(alice, jobId)).kind).toBe('removed');
    await bench.clock.advance(2000);
    await bench.recorder.closeCanceled(attemptId, TERM, 1980);
    const freed = { ...canceled, at: now(), runMs: 1980 };
    expect(await taken()).toEqual([{ kind: 'attempt-ended', ...freed, outcome: 'CANCELED', counted: false }]);
  });

  it('tell of a job whose deadline passed', async () => {
    const jobId = await bench.waiting({ workflow: 'portrait', deadlineAt: now() });
    await taken();
    await bench.recorder.expire(jobId);
    const why = { code: 'DEADLINE_EXCEEDED', message: FAULTS.DEADLINE_EXCEEDED.message };
    const ended = { at: now(), ...common, instanceId: null, status: 'FAILED', runMs: null };
    expect(await taken()).toEqual([{ kind: 'ended', ...ended, ...why }]);
  });

  it('are none where the write is refused or comes to nothing', async () => {
    const { attemptId, jobId } = await started();
    const busy = await bench.waiting();
    await taken();
    const key = { key: 'k', bodyHash: 'h' };
    expect(await bench.recorder.assign(assignment(busy, bench.ids()))).toBeNull();
    expect(await bench.recorder.complete(attemptId, TERM - 1, 5)).toBeNull();
    expect(await bench.recorder.fail(attemptId, TERM + 1, fault('TIMEOUT'), FINAL, 5)).toBeNull();
    expect(await bench.recorder.closeCanceled(attemptId, TERM)).toBe(false);
    expect(await bench.recorder.expire(jobId)).toBeNull();
    expect(await taken()).toEqual([]);
    await bench.recorder.queue(alice, newJob(bench.ids()), key);
    await bench.recorder.queue(alice, newJob(bench.ids()), key);
    await bench.recorder.queue(alice, newJob(bench.ids()), undefined, { maxQueued: 1 });
    expect(await taken()).toMatchObject([{ kind: 'submitted' }]);
    await bench.recorder.cancel(alice, busy);
    await bench.recorder.cancel(alice, busy);
    expect(await taken()).toMatchObject([{ kind: 'ended' }]);
  });

  it('know the workflow of an attempt that an older version began', async () => {
    const { attemptId, jobId } = await started();
    await bench.store.db.updateTable('attempts').set({ workflow: null }).execute();
    await bench.recorder.cancel(alice, jobId);
    await taken();
    await bench.recorder.closeCanceled(attemptId, TERM);
    expect(await taken()).toMatchObject([{ kind: 'attempt-ended', workflow: 'portrait' }]);
  });
});
