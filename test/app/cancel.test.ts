/**
 * A cancel at each state of a job, in both orders of the race: whatever comes first wins, there is one terminal event,
 * the answer to a second cancel is as the first one's state says, and the GPU is free soon. Faults of the simulated
 * instance hold a job in the state in question, so no order depends on luck.
 */
import { describe, expect, it } from 'vitest';
import { decodeGlobalId } from '../../src/graphql/global-id.ts';
import type { Faults } from '../../src/simulator/faults.ts';
import { eventually } from '../support/eventually.ts';
import { everything } from '../support/graphql-client.ts';
import { sleepGraph } from '../support/graphs.ts';
import { assertStoppedHistory } from '../support/history-checker.ts';
import { act, ended, findJob, jobThat, submitGraph } from '../support/jobs.ts';
import { type RunningGateway, startGateway } from '../support/running-gateway.ts';

const EVENTS = `subscription Events($id: ID!) { jobEvents(id: $id) { __typename cursor } }`;
const TERMINAL = new Set(['JobFinished', 'JobCanceled']);
let salt = 0;
const long = () => sleepGraph({ seconds: 120, steps: 1200, salt: ++salt });
const short = () => sleepGraph({ seconds: 0, salt: ++salt });

const instanceOf = ({ instances }: RunningGateway) => {
  const [instance] = instances;
  if (!instance) throw new Error('no instance');
  return instance;
};

const setFaults = (gateway: RunningGateway, faults: Partial<Faults>): void =>
  instanceOf(gateway).control.setFaults(faults);

async function queueOf(gateway: RunningGateway): Promise<{ running: unknown[][]; pending: unknown[][] }> {
  const answer = await fetch(`${instanceOf(gateway).url}/queue`);
  const queue = (await answer.json()) as { queue_running: unknown[][]; queue_pending: unknown[][] };
  return { running: queue.queue_running, pending: queue.queue_pending };
}

/** A job canceled twice: both answers say so. The GPU is free within 5 s, and one terminal event is the last. */
async function expectCanceled(gateway: RunningGateway, id: string, foreign = 0): Promise<void> {
  const { client } = gateway;
  expect(await act(client, 'cancelJob', id)).toMatchObject({ job: { status: 'CANCELED' } });
  await eventually(
    async () => {
      const { running, pending } = await queueOf(gateway);
      return running.length + pending.length === foreign;
    },
    { withinMs: 5000, what: 'a free GPU' },
  );
  await expectOneEnd(gateway, id, 'JobCanceled');
  expect(await findJob(client, id)).toMatchObject({ status: 'CANCELED', outputs: [] });
}

async function expectOneEnd({ client }: RunningGateway, id: string, end: string): Promise<void> {
  const events = await everything(client.watch<{ jobEvents: { __typename: string } }>(EVENTS, { id }));
  const types = events.map(({ jobEvents }) => jobEvents.__typename);
  expect(types.filter((type) => TERMINAL.has(type))).toEqual([end]);
  expect(types.at(-1)).toBe(end);
}

/** Slots are given back a moment after the job has ended; then the history must hold. */
async function finish(gateway: RunningGateway, ids: readonly string[]): Promise<void> {
  await eventually(
    async () => {
      const jobs = await Promise.all(ids.map((id) => findJob(gateway.client, id)));
      return jobs.every((job) => job?.attempts.every(({ outcome }) => outcome !== null));
    },
    { what: 'closed attempts' },
  );
  await gateway.halt();
  await assertStoppedHistory(gateway.dataDir, {
    acknowledged: ids.map((id) => decodeGlobalId(id)?.id ?? id),
    instances: gateway.instances.map(({ control }) => ({
      prompts: control.prompts(),
      executions: control.executions(),
    })),
  });
}

describe('a cancel that comes first (F42)', () => {
  it('of a queued job: it never reaches an instance', async () => {
    const gateway = await startGateway({ config: { maxConcurrentJobs: 1 } });
    const { client } = gateway;
    const busy = await submitGraph(client, long());
    await jobThat(client, busy.id, (job) => job.progress.step !== null);
    const { id } = await submitGraph(client, short());
    await act(client, 'cancelJob', id);
    await act(client, 'cancelJob', busy.id);
    await expectCanceled(gateway, id);
    expect(await findJob(client, id)).toMatchObject({ attempts: [] });
    await finish(gateway, [id, busy.id]);
  });

  it('of a job that is being submitted: what still arrives is taken back', async () => {
    const gateway = await startGateway();
    const { client } = gateway;
    setFaults(gateway, { frozen: true });
    const { id } = await submitGraph(client, long());
    await jobThat(client, id, (job) => job.attempts.length === 1);
    await act(client, 'cancelJob', id);
    setFaults(gateway, { frozen: false });
    await expectCanceled(gateway, id);
    await finish(gateway, [id]);
  });

  it('of a job that waits in the instance behind a foreign prompt, which survives (F22)', async () => {
    const gateway = await startGateway();
    const { client } = gateway;
    const foreign = await postForeign(gateway, long());
    const before = await queueOf(gateway);
    expect(before.running).toHaveLength(1);
    const { id } = await submitGraph(client, short());
    // a place is only given while the instance is thought free: else the job waits in the gateway, and that is canceled
    await act(client, 'cancelJob', id);
    await expectCanceled(gateway, id, 1);
    expect((await queueOf(gateway)).running[0]?.[1]).toBe(foreign);
    await fetch(`${instanceOf(gateway).url}/interrupt`, { method: 'POST' });
    await finish(gateway, [id]);
  });

  it('of a running job', async () => {
    const gateway = await startGateway();
    const { client } = gateway;
    const { id } = await submitGraph(client, long());
    await jobThat(client, id, (job) => job.progress.step !== null);
    await act(client, 'cancelJob', id);
    await expectCanceled(gateway, id);
    expect(instanceOf(gateway).control.executions()).toMatchObject([{ outcome: 'interrupted' }]);
    await finish(gateway, [id]);
  });

  it('of a job whose outputs are on their way: none of them shows', async () => {
    const gateway = await startGateway();
    const { client } = gateway;
    setFaults(gateway, { slowBodies: 1 });
    const { id } = await submitGraph(client, short());
    await eventually(() => instanceOf(gateway).control.executions()[0]?.outcome === 'success');
    expect((await findJob(client, id))?.status).toBe('PROCESSING');
    await act(client, 'cancelJob', id);
    await expectCanceled(gateway, id);
    setFaults(gateway, { slowBodies: null });
    await finish(gateway, [id]);
  });

  it('of a job that the instance has queued and does not begin', async () => {
    const gateway = await startGateway();
    const { client } = gateway;
    setFaults(gateway, { workerDead: true });
    const { id } = await submitGraph(client, short());
    await eventually(async () => (await queueOf(gateway)).pending.length === 1, { what: 'a queued prompt' });
    await act(client, 'cancelJob', id);
    await expectCanceled(gateway, id);
    expect(instanceOf(gateway).control.executions()).toEqual([]);
    await finish(gateway, [id]);
  });

  it('of a job that waits for its next attempt', async () => {
    const gateway = await startGateway({ config: { retryBaseMs: 60_000, retryCapMs: 60_000 } });
    const { client } = gateway;
    setFaults(gateway, { refusePrompts: 500 });
    const { id } = await submitGraph(client, short());
    await jobThat(
      client,
      id,
      (job) =>
        job.status === 'PENDING' &&
        job.attempts[0]?.outcome !== undefined &&
        job.attempts[0].outcome !== null,
    );
    await act(client, 'cancelJob', id);
    await expectCanceled(gateway, id);
    setFaults(gateway, { refusePrompts: null });
    await finish(gateway, [id]);
  });
});

describe('a cancel that comes second (F42)', () => {
  it.each(['cancel', 'complete', 'fail'] as const)(
    'to a %s: what has ended stays as it ended',
    async (first) => {
      const gateway = await startGateway();
      const { client } = gateway;
      if (first === 'fail')
        setFaults(gateway, { nodeErrors: { RigSleep: { type: 'ValueError', message: 'broken' } } });
      const { id } = await submitGraph(client, first === 'cancel' ? long() : short());
      if (first === 'cancel') {
        await jobThat(client, id, (job) => job.progress.step !== null);
        await act(client, 'cancelJob', id);
        await expectCanceled(gateway, id);
      } else {
        const { status } = await ended(client, id);
        for (let again = 0; again < 2; again++) {
          expect(await act(client, 'cancelJob', id)).toMatchObject({
            __typename: 'InvalidStateError',
            status,
          });
        }
        expect(status).toBe(first === 'fail' ? 'FAILED' : 'COMPLETED');
        await expectOneEnd(gateway, id, 'JobFinished');
        expect((await findJob(client, id))?.outputs).toHaveLength(first === 'fail' ? 0 : 1);
      }
      await finish(gateway, [id]);
    },
  );

  it('by a moment to the start, to the end or to another cancel: one end, and every answer agrees with it', async () => {
    const gateway = await startGateway();
    const { client } = gateway;
    const ids = await Promise.all(
      Array.from({ length: 24 }, async (_, n) => {
        const { id } = await submitGraph(client, short());
        if (n % 3 === 1) await jobThat(client, id, (job) => job.status !== 'PENDING');
        const answers = await Promise.all(Array.from({ length: 3 }, () => act(client, 'cancelJob', id)));
        const { status } = await ended(client, id);
        for (const answer of answers) {
          if (status === 'CANCELED') expect(answer).toMatchObject({ job: { status } });
          else expect(answer).toMatchObject({ __typename: 'InvalidStateError', status });
        }
        await expectOneEnd(gateway, id, status === 'CANCELED' ? 'JobCanceled' : 'JobFinished');
        return id;
      }),
    );
    await finish(gateway, ids);
  }, 30_000);
});

/** Somebody uses the instance's own page. */
async function postForeign(gateway: RunningGateway, graph: object): Promise<string> {
  const { url } = instanceOf(gateway);
  const answer = await fetch(`${url}/prompt`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: graph, client_id: 'a person' }),
  });
  const { prompt_id: promptId } = (await answer.json()) as { prompt_id: string };
  await eventually(async () => (await queueOf(gateway)).running.length === 1);
  return promptId;
}
