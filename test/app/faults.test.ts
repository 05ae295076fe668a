/** What goes wrong on instances, and what becomes of the jobs: an honest end, or another try. */
import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { everything } from '../support/graphql-client.ts';
import { noiseInto, sleepGraph } from '../support/graphs.ts';
import { ended, follow, history, jobThat, submitGraph, submitted } from '../support/jobs.ts';
import { startGateway } from '../support/running-gateway.ts';

const orange = await readFile(new URL('../../assets/orange.png', import.meta.url));

describe('a node that fails', () => {
  it('is tried again and then ends the job as FAILED, with the node and its message', async () => {
    const { client, instances } = await startGateway();
    const { id } = await submitGraph(client, {
      '1': { class_type: 'RigRaise', inputs: { kind: 'ValueError', message: 'the tensor is sad', salt: 1 } },
      '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
    });

    const job = await ended(client, id);

    expect(job).toMatchObject({
      status: 'FAILED',
      error: { code: 'NODE_FAILED', message: 'the tensor is sad', nodeId: '1', nodeType: 'RigRaise' },
      outputs: [],
    });
    expect(job.attempts.map(({ number, outcome }) => [number, outcome])).toEqual([
      [1, 'FAILED'],
      [2, 'FAILED'],
      [3, 'FAILED'],
    ]);
    expect(new Set(job.attempts.map((attempt) => attempt.promptId)).size).toBe(3);
    expect(instances[0]?.control.executions()).toHaveLength(3);
  });

  it('once and works the second time lets the job complete, its first outputs withdrawn', async () => {
    const { client, instances } = await startGateway();
    const [instance] = instances;
    instance?.control.setFaults({ nodeErrors: { SaveImage: { type: 'OSError', message: 'disk is full' } } });
    const { id } = await submitGraph(
      client,
      {
        '0': { class_type: 'RigText', inputs: { text: 'early' } },
        ...sleepGraph({ seconds: 0.1 }),
      },
      { maxAttempts: 10 },
    );
    await jobThat(client, id, (job) => job.attempts.some((attempt) => attempt.outcome === 'FAILED'));
    instance?.control.clearFaults();

    const job = await ended(client, id);

    expect(job).toMatchObject({ status: 'COMPLETED', error: null });
    expect(job.outputs.map((output) => output.node)).toEqual(['0', '2']);
    expect(job.attempts.at(-1)?.outcome).toBe('SUCCEEDED');
  });
});

describe('a graph that ComfyUI itself refuses', () => {
  it('ends at once as FAILED, with what is wrong and where', async () => {
    const { client, instances } = await startGateway();
    const { id } = await submitGraph(client, {
      '1': { class_type: 'RigNoise', inputs: { width: 0, height: 64, batch: 1, salt: 0 } },
      '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
    });
    const job = await ended(client, id);
    expect(job).toMatchObject({
      status: 'FAILED',
      error: { code: 'PROMPT_REJECTED', nodeId: '1', nodeType: 'RigNoise' },
    });
    expect(job.error?.message).toMatch(/width/);
    expect(job.attempts).toHaveLength(1);
    expect(instances[0]?.control.executions()).toHaveLength(0);
  });

  it('in part ends as FAILED too, since some of its outputs would never come', async () => {
    const { client } = await startGateway();
    const { id } = await submitGraph(client, {
      '1': { class_type: 'RigSleep', inputs: { seconds: 30, steps: 300, preview: 'none', salt: 0 } },
      '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
      '3': { class_type: 'RigNoise', inputs: { width: 0, height: 64, batch: 1, salt: 0 } },
      '4': { class_type: 'PreviewImage', inputs: { images: ['3', 0] } },
    });
    const job = await ended(client, id);
    expect(job).toMatchObject({
      status: 'FAILED',
      error: { code: 'NODE_ERRORS', nodeId: '3', nodeType: 'RigNoise' },
    });
    expect(job.attempts).toHaveLength(1);
    const next = await submitGraph(client, noiseInto('PreviewImage', {}), { waitMs: 20_000 });
    expect(next.status).toBe('COMPLETED');
  });
});

describe('without any WebSocket to the instances', () => {
  it('jobs complete all the same, and their outputs are right', async () => {
    const refusing = { faults: { refuseSockets: true } };
    const { client, instances } = await startGateway({ instances: [refusing, refusing] });
    const dataUri = `data:image/png;base64,${orange.toString('base64')}`;
    const jobs = await Promise.all([
      submitted(client, 'removeBackground', { image: { dataUri } }),
      submitted(client, 'upscaleImage', { image: { dataUri } }),
      submitted(client, 'generateImage', { prompt: 'a boat', steps: 3, width: 64, height: 64 }),
      submitGraph(client, sleepGraph({ seconds: 0.3, salt: 1 })),
    ]);
    const done = await Promise.all(jobs.map(({ id }) => ended(client, id)));
    expect(done.map((job) => [job.status, job.outputs.length])).toEqual(done.map(() => ['COMPLETED', 1]));
    const { width, height } = await sharp(orange).metadata();
    expect(done[1]?.outputs[0]).toMatchObject({ width: width * 4, height: height * 4 });
    const cutOut = await fetch(done[0]?.outputs[0]?.url ?? '');
    const stats = await sharp(Buffer.from(await cutOut.arrayBuffer())).stats();
    expect(stats.isOpaque).toBe(false);
    expect(instances.every((instance) => instance.control.socketCount() === 0)).toBe(true);
    expect(instances.flatMap((instance) => instance.control.executions())).toHaveLength(4);
  });

  it('that is, when every socket goes deaf in the middle, jobs complete too', async () => {
    const { client, instances } = await startGateway();
    const { id } = await submitGraph(client, sleepGraph({ seconds: 0.6, steps: 6 }));
    await jobThat(client, id, (job) => job.progress.step !== null);
    instances[0]?.control.setFaults({ deafSockets: true });
    expect(await ended(client, id)).toMatchObject({ status: 'COMPLETED' });
  });

  it('that is, when a socket is cut in the middle, it comes back and progress goes on', async () => {
    const { client, instances } = await startGateway();
    const { id } = await submitGraph(client, sleepGraph({ seconds: 2, steps: 40 }));
    await jobThat(client, id, (job) => job.progress.step !== null);
    instances[0]?.control.hangUp();
    const snapshots = await history(client, id);
    const fractions = snapshots.map((job) => job.progress.fraction);
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    expect(snapshots.at(-1)).toMatchObject({ status: 'COMPLETED' });
    expect(snapshots.at(-1)?.attempts).toHaveLength(1);
  });
});

describe('an instance that dies in the middle of a job', () => {
  it('loses it to the other instance, where it completes at no charge', async () => {
    const { client, instances } = await startGateway({ instances: [{}, {}] });
    const { id } = await submitGraph(client, sleepGraph({ seconds: 1, steps: 10 }), { maxAttempts: 1 });
    const running = await jobThat(client, id, (job) => job.progress.step !== null);
    const first = running.instance?.name;
    const [victim] = instances.filter((_, index) => `gpu${index + 1}` === first);

    await victim?.control.crash();
    const snapshots = (await everything(follow(client, id))).map((each) => each.job);

    const job = snapshots.at(-1);
    expect(job).toMatchObject({ status: 'COMPLETED', error: null });
    expect(job?.instance?.name).not.toBe(first);
    expect(job?.attempts.map((attempt) => attempt.outcome)).toEqual(['LOST', 'SUCCEEDED']);
    expect(job?.outputs).toHaveLength(1);
  });

  it('and comes back having forgotten it runs it again', async () => {
    const { client, instances } = await startGateway();
    const { id } = await submitGraph(client, sleepGraph({ seconds: 0.5, steps: 5 }));
    await jobThat(client, id, (job) => job.progress.step !== null);
    await instances[0]?.control.restart();
    const job = await ended(client, id);
    expect(job).toMatchObject({ status: 'COMPLETED' });
    expect(job.attempts.map((attempt) => attempt.outcome)).toEqual(['LOST', 'SUCCEEDED']);
  });
});

describe('an attempt that runs too long', () => {
  it('is stopped on its instance; the job ends as FAILED with TIMEOUT', async () => {
    const { client, instances } = await startGateway();
    const graph = sleepGraph({ seconds: 60, steps: 600 });
    const { id } = await submitGraph(client, graph, { timeoutMs: 300, maxAttempts: 1 });
    const job = await ended(client, id);
    expect(job).toMatchObject({ status: 'FAILED', error: { code: 'TIMEOUT' } });
    await eventually(() => instances[0]?.control.executions()[0]?.outcome === 'interrupted', {
      what: 'the run is interrupted',
    });
  });
});
