import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ENGINES } from '../support/temp-store.ts';
import { fileOf, openRig, picture, type Rig, stranger, viewer } from './submission-rig.ts';

let rig: Rig;
let jobId: string;
describe.each(ENGINES)('on %s', (engine) => {
  beforeEach(async () => {
    rig = await openRig(engine);
    const result = await rig.submitter.submit(viewer, {
      workflow: 'upscaleImage',
      inputs: { image: { upload: fileOf(await picture(1)) } },
      ...{ priority: 7, labels: { a: 'b' }, timeoutMs: 5_000, maxAttempts: 2, deadlineMs: 60_000 },
    });
    if (result.kind !== 'submitted') throw new Error(result.kind);
    jobId = result.job.id;
  });
  afterEach(() => rig.close());

  it('an ended job is repeated as a new one with the same graph, inputs and options', async () => {
    const canceled = await rig.recorder.cancel(viewer, jobId);
    await rig.clock.advance(1_000_000);
    const retried = await rig.submitter.retry(viewer, jobId);
    if (retried.kind !== 'submitted' || canceled.kind !== 'canceled') throw new Error(retried.kind);
    const { id, status, createdAt, deadlineAt, ...same } = retried.job;
    expect(id).not.toBe(jobId);
    expect(same).toMatchObject({
      ...{
        retryOf: jobId,
        workflow: 'upscaleImage',
        priority: 7,
        labels: { a: 'b' },
        timeoutMs: 5_000,
        maxAttempts: 2,
      },
      ...{ inputs: canceled.job.inputs, needsKey: canceled.job.needsKey, error: null },
    });
    expect({ status, wait: (deadlineAt ?? 0) - createdAt }).toEqual({ status: 'PENDING', wait: 60_000 });
    const graphs = await rig.store.db.selectFrom('job_graphs').select('graph').execute();
    expect(graphs[0]).toEqual(graphs[1]);
    expect(await rig.count('job_files')).toBe(2);
  });

  it('a job that has not ended is not repeated', async () => {
    expect(await rig.submitter.retry(viewer, jobId)).toMatchObject({ kind: 'active', job: { id: jobId } });
    expect(await rig.count('jobs')).toBe(1);
  });

  it('a job whose last trace goes while it is repeated is not found', async () => {
    await rig.recorder.cancel(viewer, jobId);
    const { recorder } = rig;
    const queue: typeof recorder.queue = async (...args) => {
      expect(await recorder.remove(viewer, jobId)).toMatchObject({ kind: 'removed' });
      await rig.store.db.deleteFrom('uploads').execute();
      return recorder.queue(...args);
    };
    const submitter = rig.submitterWith({ recorder: { queue } });
    expect(await submitter.retry(viewer, jobId)).toEqual({ kind: 'not-found' });
    expect(await rig.count('jobs')).toBe(0);
  });

  it('a job of nobody or of another tenant is not found', async () => {
    await rig.recorder.cancel(viewer, jobId);
    expect(await rig.submitter.retry(viewer, 'nothing')).toEqual({ kind: 'not-found' });
    expect(await rig.submitter.retry(stranger, jobId)).toEqual({ kind: 'not-found' });
  });
});
