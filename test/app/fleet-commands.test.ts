/** The fleet as its operator changes it, over GraphQL, while jobs run on simulated instances. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { eventually } from '../support/eventually.ts';
import {
  addInstance,
  changeInstance,
  INSTANCE,
  type InstanceView,
  instance,
  instances,
  removeInstance,
} from '../support/fleet-commands.ts';
import { sleepGraph } from '../support/graphs.ts';
import { ended, findJob, jobThat, submitGraph, submitted } from '../support/jobs.ts';
import { startGateway } from '../support/running-gateway.ts';
import { socketClient, watch } from '../support/watch.ts';

async function simulator() {
  const one = await startSimulator();
  onTestFinished(() => one.stop());
  return one;
}

const added = async (...args: Parameters<typeof addInstance>): Promise<InstanceView> => {
  const answer = await addInstance(...args);
  if (!answer.instance) throw new Error(`not added: ${answer.message}`);
  return answer.instance;
};

const healthy = (client: Parameters<typeof instance>[0], id: string) =>
  eventually(async () => (await instance(client, id))?.health === 'HEALTHY', { what: 'it is healthy' });

describe('the fleet, changed while it runs', () => {
  it('adds an instance that gets jobs, over restarts, and once only', async () => {
    const { client, restart } = await startGateway({ instances: [] });
    const waiting = await submitGraph(client, sleepGraph({ seconds: 0 }));
    const gpu = await simulator();

    const one = await added(client, { url: `${gpu.url}/`, name: 'new', capacity: 2 });

    expect(one).toMatchObject({ name: 'new', url: gpu.url, capacity: 2, draining: false, removedAt: null });
    expect(await ended(client, waiting.id)).toMatchObject({
      status: 'COMPLETED',
      instance: { id: one.id, name: 'new' },
    });
    const again = await addInstance(client, { url: gpu.url });
    expect(again).toMatchObject({
      __typename: 'ValidationError',
      issues: [{ path: ['url'], message: expect.stringContaining('"new"') }],
    });
    expect(await addInstance(client, { url: 'http://127.0.0.1:1', name: 'new' })).toMatchObject({
      issues: [{ path: ['name'] }],
    });
    await restart();
    const later = await submitGraph(client, sleepGraph({ seconds: 0, salt: 1 }));
    expect(await ended(client, later.id)).toMatchObject({ instance: { id: one.id } });
    expect((await instances(client)).map(({ id }) => id)).toEqual([one.id]);
  });

  it('drains an instance, over restarts, until it is resumed', async () => {
    const { client, instances: gpus, restart } = await startGateway();
    const [{ id = '' } = {}] = await instances(client);
    const running = await submitGraph(client, sleepGraph({ seconds: 1, steps: 10, salt: 2 }));
    await jobThat(client, running.id, (job) => job.status === 'PROCESSING');

    const drained = await changeInstance(client, 'drainInstance', id);
    const held = await submitGraph(client, sleepGraph({ seconds: 0, salt: 3 }));

    expect(drained.instance).toMatchObject({ id, draining: true });
    expect((await ended(client, running.id)).status).toBe('COMPLETED');
    await restart();
    await eventually(async () => (await findJob(client, held.id))?.queue?.blockedBy?.includes('drain'), {
      what: 'it says that the instance drains',
    });
    expect(gpus[0]?.control.executions()).toHaveLength(1);
    expect((await changeInstance(client, 'resumeInstance', id)).instance).toMatchObject({ draining: false });
    expect((await ended(client, held.id)).status).toBe('COMPLETED');
  });

  it('moves the work of a removed instance at no charge, and takes its prompts away', async () => {
    const { client, url } = await startGateway();
    const [kept] = await instances(client);
    const leaving = await simulator();
    const seen = watch<InstanceView>(
      socketClient(`${url.replace('http', 'ws')}/graphql`),
      `subscription { instances { ${INSTANCE} } }`,
    );
    onTestFinished(() => seen.stop());
    await seen.until(({ id }) => id === kept?.id);
    const one = await added(client, { url: leaving.url, name: 'leaving', capacity: 2 });
    await healthy(client, one.id);
    await changeInstance(client, 'drainInstance', kept?.id ?? '');
    const jobs = [
      await submitGraph(client, sleepGraph({ seconds: 3, steps: 30, salt: 4 })),
      await submitGraph(client, sleepGraph({ seconds: 3, steps: 30, salt: 5 })),
    ];
    for (const { id } of jobs) await jobThat(client, id, (job) => job.instance?.id === one.id);
    await eventually(() => leaving.control.prompts().length === 2, { what: 'both are posted' });
    await changeInstance(client, 'resumeInstance', kept?.id ?? '');

    expect(await removeInstance(client, one.id)).toEqual({
      __typename: 'RemoveInstanceSuccess',
      removedInstanceId: one.id,
    });

    const { exec_info } = (await (await fetch(`${leaving.url}/prompt`)).json()) as {
      exec_info: { queue_remaining: number };
    };
    expect(exec_info.queue_remaining).toBe(0);
    for (const { id } of jobs) {
      const job = await ended(client, id);
      expect(job).toMatchObject({ status: 'COMPLETED', instance: { id: kept?.id } });
      expect(job.attempts.map(({ instanceName, outcome }) => `${instanceName} ${outcome}`)).toEqual([
        'leaving LOST',
        'gpu1 SUCCEEDED',
      ]);
      expect(job.outputs).toHaveLength(1);
    }
    expect((await instances(client)).map(({ id }) => id)).toEqual([kept?.id]);
    expect((await instance(client, one.id))?.removedAt).not.toBeNull();
    expect(seen.values.filter(({ id, removedAt }) => id === one.id && removedAt !== null)).toHaveLength(1);
    expect(seen.values.some(({ id, draining }) => id === kept?.id && draining)).toBe(true);
    expect(await removeInstance(client, one.id)).toMatchObject({ __typename: 'NotFoundError' });
    const back = await added(client, { url: leaving.url });
    expect(back.id).not.toBe(one.id);
  });

  it('probes an instance at once, and has it free its memory', async () => {
    const { client, instances: gpus } = await startGateway({ config: { probeIntervalMs: 600_000 } });
    const [{ id = '', lastSeenAt = null } = {}] = await instances(client);
    const probed = await changeInstance(client, 'probeInstance', id);
    expect(probed.instance).toMatchObject({ id, health: 'HEALTHY' });
    expect(Date.parse(probed.instance?.lastSeenAt ?? '')).toBeGreaterThan(Date.parse(lastSeenAt ?? ''));

    const job = await submitted(client, 'generateImage', {
      prompt: 'a road',
      steps: 1,
      width: 64,
      height: 64,
    });
    expect((await ended(client, job.id)).status).toBe('COMPLETED');
    await eventually(async () => (await instance(client, id))?.loadedModels.length, {
      what: 'it has models in memory',
    });
    expect((await changeInstance(client, 'freeInstanceMemory', id)).instance).toMatchObject({ id });
    await eventually(async () => (await instance(client, id))?.loadedModels.length === 0, {
      what: 'it has none',
    });

    await gpus[0]?.control.crash();
    expect(await changeInstance(client, 'freeInstanceMemory', id)).toMatchObject({
      __typename: 'NotDoneError',
      message: expect.stringContaining('it could not be told'),
    });
    expect((await changeInstance(client, 'probeInstance', id)).instance).toMatchObject({
      lastError: expect.stringContaining('refused'),
    });
  });

  it('takes one that is not up yet, and says what is wrong with one that cannot be', async () => {
    const { client } = await startGateway();
    const later = await added(client, { url: 'http://127.0.0.1:1', name: 'later' });
    expect(['UNKNOWN', 'DEGRADED']).toContain(later.health);
    const [named] = (await instances(client)).filter(({ name }) => name === 'gpu1');
    const refused = [
      [await addInstance(client, { url: 'http://169.254.169.254' }), 'url'],
      [await addInstance(client, { url: 'ssh://gpu' }), 'url'],
      [await addInstance(client, { url: 'http://gpu', capacity: 65 }), 'capacity'],
      [await addInstance(client, { url: 'http://gpu', name: '' }), 'name'],
      [await removeInstance(client, named?.id ?? ''), 'id'],
    ] as const;
    for (const [answer, path] of refused) {
      expect(answer).toMatchObject({ __typename: 'ValidationError', issues: [{ path: [path] }] });
    }
    const gone = await removeInstance(client, later.id);
    expect(gone.__typename).toBe('RemoveInstanceSuccess');
    for (const change of [
      'drainInstance',
      'resumeInstance',
      'probeInstance',
      'freeInstanceMemory',
    ] as const) {
      for (const id of [later.id, 'nobody', named?.id.slice(2) ?? '']) {
        expect(await changeInstance(client, change, id)).toMatchObject({ __typename: 'NotFoundError' });
      }
    }
    expect((await instances(client)).map(({ name }) => name)).toEqual(['gpu1']);
  });
});
