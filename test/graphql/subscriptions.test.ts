import type { Client } from 'graphql-ws';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { fault } from '../../src/domain/fault.ts';
import type { Instance } from '../../src/domain/instance.ts';
import type { Job } from '../../src/domain/job.ts';
import { defaultViewer } from '../../src/domain/viewer.ts';
import { eventCursor } from '../../src/graphql/cursors.ts';
import { globalId } from '../../src/graphql/global-id.ts';
import { saveHealth } from '../../src/store/instances.ts';
import { eventually } from '../support/eventually.ts';
import { startGateway, TERM, type TestGateway } from '../support/gateway.ts';
import { socketClient, watch } from '../support/watch.ts';

interface SeenJob {
  readonly id: string;
  readonly status: string;
  readonly progress: { fraction: number; step: number | null };
  readonly queue: { position: number; blockedBy: string | null } | null;
  readonly preview: { url: string } | null;
  readonly outputs: { id: string }[];
}
interface SeenEvent {
  readonly __typename: string;
  readonly cursor: string;
  readonly job: { id: string; status: string };
  readonly output?: { id: string };
  readonly progress?: { fraction: number };
}

const JOB = `id status progress { id fraction step } queue { id position blockedBy } preview { id url } outputs { id }`;
const WATCH = `subscription ($id: ID!) { job(id: $id) { ${JOB} } }`;
const EVENTS = `subscription ($id: ID!, $after: String) { jobEvents(id: $id, after: $after) {
  __typename cursor job { id status }
  ... on OutputReady { output { id } } ... on JobProgressed { progress { id fraction } }
} }`;

let gateway: TestGateway;
let instance: Instance;
let client: Client;
let slot = 0;

beforeAll(async () => {
  gateway = await startGateway();
  instance = await gateway.addInstance('gpu');
});
afterAll(() => gateway.stop());
beforeEach(() => {
  client = socketClient(gateway.socketUrl);
});
afterEach(() => client.dispose());

const idOf = (job: Job): string => globalId('Job', job.id);
const run = (job: Job): Promise<string> => gateway.assign(job.id, instance, slot++);
const finish = async (attempt: string): Promise<void> => {
  await gateway.recorder.collecting(attempt, TERM);
  await gateway.recorder.complete(attempt, TERM, 5);
};
function progress(job: Job, fraction: number, seq = 2): void {
  const value = { fraction, node: '2', nodeType: 'SaveImage', step: 1, totalSteps: 4, remainingMs: 10 };
  const change = { type: 'progress', progress: value } as const;
  gateway.bus.publish({ kind: 'job', jobId: job.id, tenant: job.tenant, seq, at: Date.now(), change });
}

describe('subscription job', () => {
  it('sends the job as it is, then its changes, and completes after the end', async () => {
    const job = await gateway.addJob();
    const seen = watch<SeenJob>(client, WATCH, { id: idOf(job) });
    const first = await seen.until(() => true);
    expect(first).toMatchObject({ status: 'PENDING', progress: { fraction: 0 }, queue: { position: 1 } });
    const attempt = await run(job);
    await seen.until(({ status }) => status === 'PROCESSING');
    for (const fraction of [0.25, 0.5, 0.75]) {
      progress(job, fraction);
      await seen.until((value) => value.progress.fraction === fraction);
    }
    await gateway.addOutput(attempt, new TextEncoder().encode('one'));
    await seen.until(({ outputs }) => outputs.length === 1);
    await finish(attempt);
    await seen.ended();
    expect(seen.values.at(-1)).toMatchObject({ status: 'COMPLETED', progress: { fraction: 1 }, queue: null });
    const fractions = seen.values.map((value) => value.progress.fraction);
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    expect(seen.errors).toEqual([]);
  });

  it('starts a late subscriber from the newest progress, and never lets it fall', async () => {
    const job = await gateway.addJob();
    const attempt = await run(job);
    progress(job, 0.6);
    const seen = watch<SeenJob>(client, WATCH, { id: idOf(job) });
    expect((await seen.until(() => true)).progress.fraction).toBe(0.6);
    progress(job, 0.4);
    progress(job, 0.7);
    await seen.until((value) => value.progress.fraction === 0.7);
    expect(seen.values.map((value) => value.progress.fraction)).not.toContain(0.4);
    await finish(attempt);
    await seen.ended();
  });

  it('sends one snapshot of a job that has ended, and completes', async () => {
    const job = await gateway.addJob();
    await gateway.recorder.cancel(defaultViewer, job.id);
    const seen = watch<SeenJob>(client, WATCH, { id: idOf(job) });
    await seen.ended();
    expect(seen.values.map(({ status }) => status)).toEqual(['CANCELED']);
  });

  it('completes when the job is deleted', async () => {
    const job = await gateway.addJob();
    const attempt = await run(job);
    const seen = watch<SeenJob>(client, WATCH, { id: idOf(job) });
    await seen.until(() => true);
    gateway.bus.publish({
      kind: 'job',
      jobId: job.id,
      tenant: job.tenant,
      seq: 3,
      at: Date.now(),
      change: { type: 'deleted' },
    });
    await seen.ended();
    expect(seen.errors).toEqual([]);
    await finish(attempt);
  });

  it.each(['nonsense', globalId('Job', 'unknown'), globalId('Instance', 'x')])(
    'answers NOT_FOUND for the id %s',
    async (id) => {
      const seen = watch<SeenJob>(client, WATCH, { id });
      await seen.ended();
      expect(seen.values).toEqual([]);
      expect(seen.errors[0]?.extensions).toEqual({ code: 'NOT_FOUND' });
    },
  );

  it('shows the place in the queue again when it alone has changed', async () => {
    const before = await gateway.addJob({ priority: 9 });
    const job = await gateway.addJob({ priority: 1 });
    const seen = watch<SeenJob>(client, WATCH, { id: idOf(job) });
    expect((await seen.until(() => true)).queue?.position).toBe(2);
    await gateway.recorder.cancel(defaultViewer, before.id);
    await seen.until(({ queue }) => queue?.position === 1);
    await gateway.recorder.cancel(defaultViewer, job.id);
    await seen.ended();
  });

  it('leaves nothing listening once the client has gone, even while nothing happens', async () => {
    const job = await gateway.addJob();
    const attempt = await run(job);
    const seen = watch<SeenJob>(client, WATCH, { id: idOf(job) });
    await seen.until(() => true);
    expect(gateway.bus.topicCount).toBeGreaterThan(0);
    seen.stop();
    await eventually(() => gateway.bus.topicCount === 0, { what: 'no listener' });
    await finish(attempt);
  });
});

describe('subscription jobEvents', () => {
  it('replays what is kept, then goes on live, in order, and completes after the last event', async () => {
    const job = await gateway.addJob();
    const attempt = await run(job);
    const seen = watch<SeenEvent>(client, EVENTS, { id: idOf(job) });
    await seen.until(({ __typename }) => __typename === 'JobStarted');
    progress(job, 0.5);
    const live = await seen.until(({ __typename }) => __typename === 'JobProgressed');
    expect(live.cursor).toBe(seen.values[1]?.cursor);
    await gateway.addOutput(attempt, new TextEncoder().encode('two'));
    await finish(attempt);
    await seen.ended();
    expect(seen.values.map(({ __typename }) => __typename)).toEqual([
      'JobQueued',
      'JobStarted',
      'JobProgressed',
      'OutputReady',
      'JobFinished',
    ]);
  });

  it('continues after a cursor without gap or repetition', async () => {
    const job = await gateway.addJob();
    const attempt = await run(job);
    const first = watch<SeenEvent>(client, EVENTS, { id: idOf(job) });
    const started = await first.until(({ __typename }) => __typename === 'JobStarted');
    first.stop();
    await gateway.addOutput(attempt, new TextEncoder().encode('three'));
    const second = watch<SeenEvent>(client, EVENTS, { id: idOf(job), after: started.cursor });
    await second.until(({ __typename }) => __typename === 'OutputReady');
    await finish(attempt);
    await second.ended();
    expect(second.values.map(({ __typename }) => __typename)).toEqual(['OutputReady', 'JobFinished']);
  });

  it('completes at once for a client that has had the last event', async () => {
    const job = await gateway.addJob();
    await gateway.recorder.cancel(defaultViewer, job.id);
    const all = watch<SeenEvent>(client, EVENTS, { id: idOf(job) });
    await all.ended();
    expect(all.values.map(({ __typename }) => __typename)).toEqual(['JobQueued', 'JobCanceled']);
    const none = watch<SeenEvent>(client, EVENTS, { id: idOf(job), after: all.values.at(-1)?.cursor });
    await none.ended();
    expect(none.values).toEqual([]);
  });

  it('leaves out outputs that a retry has withdrawn', async () => {
    const job = await gateway.addJob();
    const attempt = await run(job);
    await gateway.addOutput(attempt, new TextEncoder().encode('four'));
    const decision = { kind: 'retry', notBefore: Date.now(), delayMs: 7 } as const;
    await gateway.recorder.fail(attempt, TERM, fault('NODE_FAILED'), decision);
    await gateway.recorder.cancel(defaultViewer, job.id);
    const seen = watch<SeenEvent>(client, EVENTS, { id: idOf(job) });
    await seen.ended();
    expect(seen.values.map(({ __typename }) => __typename)).toEqual([
      'JobQueued',
      'JobStarted',
      'JobRetried',
      'JobCanceled',
    ]);
  });

  it.each([
    ['is none', 'xyz'],
    ['lies ahead of the job', eventCursor(7)],
  ])('refuses a cursor that %s', async (_what, after) => {
    const job = await gateway.addJob();
    const seen = watch<SeenEvent>(client, EVENTS, { id: idOf(job), after });
    await seen.ended();
    expect(seen.errors[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT' });
    await gateway.recorder.cancel(defaultViewer, job.id);
  });
});

describe('subscription jobs', () => {
  const JOBS = `subscription ($filter: JobFilter) { jobs(filter: $filter) { ${JOB} } }`;

  it('sends what runs now, then changes of jobs that match before or after them', async () => {
    const labels = { batch: 'jobs-1' };
    const running = await gateway.addJob({ labels });
    const attempt = await run(running);
    const seen = watch<SeenJob>(client, JOBS, { filter: { label: labels } });
    expect(await seen.until(() => true)).toMatchObject({ id: idOf(running), status: 'PROCESSING' });
    progress(running, 0.3);
    await seen.until((value) => value.progress.fraction === 0.3);
    const other = await gateway.addJob();
    const next = await gateway.addJob({ labels });
    await seen.until((value) => value.id === idOf(next) && value.status === 'PENDING');
    await finish(attempt);
    await seen.until((value) => value.id === idOf(running) && value.status === 'COMPLETED');
    expect(seen.values.map(({ id }) => id)).not.toContain(idOf(other));
    await gateway.recorder.cancel(defaultViewer, next.id);
    await gateway.recorder.cancel(defaultViewer, other.id);
  });

  it('tells when a job leaves what was asked for', async () => {
    const labels = { batch: 'jobs-2' };
    const listening = vi.spyOn(gateway.bus, 'subscribe');
    const seen = watch<SeenJob>(client, JOBS, { filter: { status: ['PENDING'], label: labels } });
    const probe = watch<SeenJob>(client, JOBS, { filter: { label: labels } });
    await eventually(() => listening.mock.results.length === 2, { what: 'two listeners' });
    listening.mockRestore();
    const job = await gateway.addJob({ labels });
    await seen.until(({ status }) => status === 'PENDING');
    const attempt = await run(job);
    await seen.until(({ status }) => status === 'PROCESSING');
    await finish(attempt);
    await probe.until(({ status }) => status === 'COMPLETED');
    expect(seen.values.map(({ status }) => status)).not.toContain('COMPLETED');
  });
});

describe('subscriptions instances and queue', () => {
  it('sends every instance, then each that changes', async () => {
    const seen = watch<{ name: string; health: string }>(
      client,
      'subscription { instances { id name health } }',
    );
    expect(await seen.until(() => true)).toMatchObject({ name: 'gpu', health: 'HEALTHY' });
    await saveHealth(gateway.store.db, instance.id, { health: 'UNHEALTHY' }, Date.now());
    gateway.bus.publish({ kind: 'instance', instanceId: instance.id, at: Date.now() });
    await seen.until(({ health }) => health === 'UNHEALTHY');
    await saveHealth(gateway.store.db, instance.id, { health: 'HEALTHY' }, Date.now());
    gateway.bus.publish({ kind: 'instance', instanceId: instance.id, at: Date.now() });
    await seen.until(({ health }) => health === 'HEALTHY');
  });

  it('sends the queue, then again when it has changed', async () => {
    const seen = watch<{ pending: number; accepting: boolean }>(
      client,
      'subscription { queue { id pending processing capacity accepting } }',
    );
    const first = await seen.until(() => true);
    expect(first.accepting).toBe(true);
    const job = await gateway.addJob();
    await seen.until(({ pending }) => pending === first.pending + 1);
    await gateway.recorder.cancel(defaultViewer, job.id);
    await seen.until(({ pending }) => pending === first.pending);
  });
});
