/** Who is served when: priorities, order of arrival, and jobs that wait because nobody can run them. */
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { sleepGraph } from '../support/graphs.ts';
import { act, ended, findJob, jobThat, submitGraph } from '../support/jobs.ts';
import { healthyInstances, startGateway } from '../support/running-gateway.ts';

const long = sleepGraph({ seconds: 120, steps: 1200 });

describe('the queue', () => {
  it('serves priority 10 before 1, and equals in the order in which they came', async () => {
    const { client, instances } = await startGateway();
    const busy = await submitGraph(client, long);
    await jobThat(client, busy.id, (job) => job.status === 'PROCESSING');
    const submitAt = (priority: number, salt: number) =>
      submitGraph(client, sleepGraph({ seconds: 0, salt }), { priority });
    const low = await submitAt(1, 1);
    const middleFirst = await submitAt(5, 2);
    const high = await submitAt(10, 3);
    const middleSecond = await submitAt(5, 4);
    const places = async () =>
      Promise.all(
        [high, middleFirst, middleSecond, low].map(async ({ id }) => (await findJob(client, id))?.queue),
      );
    // a picture of the queue that was made meanwhile is good for a second
    await expect
      .poll(async () => (await places()).map((place) => place?.position), { timeout: 5000 })
      .toEqual([1, 2, 3, 4]);
    expect((await places()).map((place) => place?.blockedBy)).toEqual([null, null, null, null]);

    await act(client, 'cancelJob', busy.id);

    const order = [high, middleFirst, middleSecond, low];
    const jobs = await Promise.all(order.map(({ id }) => ended(client, id)));
    expect(jobs.map((job) => job.status)).toEqual(order.map(() => 'COMPLETED'));
    const ran = instances[0]?.control.executions().map((execution) => execution.promptId);
    expect(ran?.slice(1)).toEqual(jobs.map((job) => job.attempts[0]?.promptId));
  });

  it('spreads jobs over the instances', async () => {
    const { client, instances } = await startGateway({ instances: [{}, {}] });
    const jobs = await Promise.all(
      [1, 2, 3, 4].map((salt) => submitGraph(client, sleepGraph({ seconds: 0.15, salt }))),
    );
    await Promise.all(jobs.map(({ id }) => ended(client, id)));
    for (const instance of instances) expect(instance.control.executions().length).toBeGreaterThan(0);
    expect(instances.flatMap((instance) => instance.control.executions())).toHaveLength(4);
  });

  it('keeps jobs while no instance is healthy, says so, and runs them once one is back', async () => {
    const { client, instances } = await startGateway();
    const [instance] = instances;
    await instance?.control.crash();
    await healthyInstances({ client }, 0);
    await eventually(async () => {
      const { health } = await client.run<{ health: { status: string } }>('{ health { status } }');
      return health.status === 'CRITICAL';
    });

    const { id } = await submitGraph(client, sleepGraph({ seconds: 0 }));
    const waiting = await jobThat(client, id, (job) => job.queue?.blockedBy != null);
    expect(waiting).toMatchObject({ status: 'PENDING', queue: { position: 1 } });
    expect(waiting.queue?.blockedBy).toMatch(/no healthy instance/);

    await instance?.control.restart();

    expect(await ended(client, id)).toMatchObject({ status: 'COMPLETED', queue: null });
  });

  it('keeps jobs when no instance is configured at all', async () => {
    const { client, url } = await startGateway({ instances: [] });
    const { id } = await submitGraph(client, sleepGraph({ seconds: 0 }));
    const waiting = await jobThat(client, id, (job) => job.queue?.blockedBy != null);
    expect(waiting.queue?.blockedBy).toMatch(/no instances are configured/);
    expect((await fetch(`${url}/health`)).status).toBe(503);
    expect((await fetch(`${url}/ready`)).status).toBe(200);
    expect(await act(client, 'cancelJob', id)).toMatchObject({ job: { status: 'CANCELED' } });
  });

  it('says which model is missing while the only instance that has it is away', async () => {
    const { client, instances } = await startGateway({
      instances: [{}, { models: { upscale_models: ['4x_NMKD-Siax_200k.pth', 'rare.pth'] } }],
    });
    const graph = {
      '1': { class_type: 'EmptyImage', inputs: { width: 64, height: 64, batch_size: 1, color: 0 } },
      '2': { class_type: 'UpscaleModelLoader', inputs: { model_name: 'rare.pth' } },
      '3': { class_type: 'ImageUpscaleWithModel', inputs: { upscale_model: ['2', 0], image: ['1', 0] } },
      '4': { class_type: 'PreviewImage', inputs: { images: ['3', 0] } },
    };
    const first = await submitGraph(client, graph, { waitMs: 20_000 });
    expect(first).toMatchObject({ status: 'COMPLETED', instance: { name: 'gpu2' } });
    await instances[1]?.control.crash();
    await healthyInstances({ client }, 1);

    const { id } = await submitGraph(client, graph);
    const waiting = await jobThat(client, id, (job) => job.queue?.blockedBy != null);
    expect(waiting.queue?.blockedBy).toMatch(/rare\.pth/);
    // the others are not held up
    const other = await submitGraph(client, sleepGraph({ seconds: 0 }), { waitMs: 20_000 });
    expect(other.status).toBe('COMPLETED');

    await instances[1]?.control.restart();
    expect(await ended(client, id)).toMatchObject({ status: 'COMPLETED', instance: { name: 'gpu2' } });
  });

  it('ends a job whose deadline passes while it waits', async () => {
    const { client } = await startGateway({ instances: [] });
    const { id } = await submitGraph(client, sleepGraph({ seconds: 0 }), { deadlineMs: 300 });
    const job = await ended(client, id);
    expect(job).toMatchObject({ status: 'FAILED', error: { code: 'DEADLINE_EXCEEDED' } });
    expect(job.error?.message).toMatch(/no instances are configured/);
  });

  it('answers QueueFullError when as many wait as may', async () => {
    const { client } = await startGateway({ instances: [], config: { maxQueuedJobs: 2 } });
    await submitGraph(client, sleepGraph({ seconds: 0, salt: 1 }));
    await submitGraph(client, sleepGraph({ seconds: 0, salt: 2 }));
    const full = await client.run<{ submitJob: { __typename: string } }>(
      'mutation Submit($graph: JSONObject!) { submitJob(input: { graph: $graph }) { __typename } }',
      { graph: sleepGraph({ seconds: 0, salt: 3 }) },
    );
    expect(full.submitJob.__typename).toBe('QueueFullError');
    await eventually(async () => {
      const { queue } = await client.run<{ queue: { pending: number; accepting: boolean } }>(
        '{ queue { pending accepting } }',
      );
      return queue.pending === 2 && !queue.accepting;
    });
  });
});
