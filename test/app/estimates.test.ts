/** What users are told of a job's place and time, as a whole gateway with its leader tells it. */
import type { Client } from 'graphql-ws';
import { describe, expect, it, onTestFinished } from 'vitest';
import { sampled } from '../../chaos/warm/model-jobs.ts';
import { sleepGraph } from '../support/graphs.ts';
import { act, ended, findJob, submitGraph as submit } from '../support/jobs.ts';
import { type RunningGateway, startGateway } from '../support/running-gateway.ts';
import { socketClient, watch } from '../support/watch.ts';

interface SeenJob {
  readonly status: string;
  readonly progress: { readonly remainingMs: number | null };
  readonly queue: { readonly position: number; readonly estimatedWaitMs: number | null } | null;
}

const WATCH =
  'subscription($id: ID!) { job(id: $id) { status progress { remainingMs } queue { position estimatedWaitMs } } }';
let salt = 0;
const sleeping = (seconds: number) => sleepGraph({ seconds, steps: 10 * seconds, salt: ++salt });

/** The id of a job that was taken. */
const submitGraph = async (...given: Parameters<typeof submit>): Promise<string> =>
  (await submit(...given)).id;

function listener({ url }: RunningGateway): Client {
  const client = socketClient(`${url.replace(/^http/, 'ws')}/graphql`);
  onTestFinished(() => client.dispose());
  return client;
}

describe('what a user is told', () => {
  it('is a new place that only the leader can know: an older job had grown in priority, no row changed', async () => {
    const gateway = await startGateway({ config: { priorityAgeingMs: 500 } });
    const { client } = gateway;
    const running = await submitGraph(client, sleeping(120));
    const low = await submitGraph(client, sleeping(1), { priority: 1 });
    const high = await submitGraph(client, sleeping(1), { priority: 10 });
    const seen = watch<SeenJob>(listener(gateway), WATCH, { id: low });
    await seen.until(({ queue }) => queue?.position === 2, 'a place behind the other');
    await seen.until(({ queue }) => queue?.position === 1, 'a place before the other');
    expect((await findJob(client, high))?.queue?.position).toBe(2);
    for (const id of [running, low, high]) await act(client, 'cancelJob', id);
    await seen.ended();
  }, 30_000);

  it('is a rest of the running job that is known as it begins and falls, and a wait that fits it', async () => {
    const gateway = await startGateway();
    const { client } = gateway;
    for (let n = 0; n < 3; n++) await ended(client, await submitGraph(client, sleeping(2)));
    const running = await submitGraph(client, sleeping(2));
    const waiting = await submitGraph(client, sleeping(2));
    const user = listener(gateway);
    const [first, second] = [running, waiting].map((id) => watch<SeenJob>(user, WATCH, { id }));
    await second?.until(({ queue }) => (queue?.estimatedWaitMs ?? 0) > 0, 'an estimated wait');
    await second?.ended();
    await first?.ended();
    const rests = (first?.values ?? []).flatMap(({ status, progress }) =>
      status === 'PROCESSING' && progress.remainingMs !== null ? [progress.remainingMs] : [],
    );
    expect(rests.length).toBeGreaterThan(1);
    // sleeps are exact, the rest is the machine
    expect(Math.max(...rests)).toBeGreaterThan(500);
    expect(Math.max(...rests)).toBeLessThan(6000);
    expect(rests.at(-1)).toBeLessThan(Math.max(...rests) / 2);
  }, 30_000);
});

describe('a job that waits for a warm instance', () => {
  it('goes elsewhere once the run there is overdue, though nothing happens', async () => {
    const setting = { models: { checkpoints: ['a.safetensors'] }, residentModels: 1, modelLoadMs: 1000 };
    const gateway = await startGateway({
      instances: [setting, setting].map((one) => ({ ...one, stepMs: 100 })),
    });
    const { client } = gateway;
    const sample = (steps: number) => submitGraph(client, withSteps(steps));
    for (let n = 0; n < 3; n++) await ended(client, await sample(10));
    const overdue = await sample(1000);
    const waits = await sample(10);
    await ended(client, waits);
    const [slow, quick] = [await findJob(client, overdue), await findJob(client, waits)];
    expect(slow?.status).toBe('PROCESSING');
    expect(quick?.status).toBe('COMPLETED');
    expect(quick?.instance?.name).not.toBe(slow?.instance?.name);
    await act(client, 'cancelJob', overdue);
  }, 30_000);
});

/** Of one class, however many steps it has. */
function withSteps(steps: number) {
  const graph = sampled('a.safetensors', ++salt);
  const sampler = graph['4'] as { class_type: string; inputs: object };
  return { ...graph, '4': { ...sampler, inputs: { ...sampler.inputs, steps } } };
}
