/** Several processes on one Postgres, Redis and folder: what one takes in, another runs and a third shows. */
import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { decodeGlobalId } from '../../src/graphql/global-id.ts';
import { Cluster } from '../support/cluster.ts';
import { EventWatch } from '../support/event-watch.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import type { TestClient } from '../support/graphql-client.ts';
import { sleepGraph } from '../support/graphs.ts';
import type { Evidence } from '../support/history/evidence.ts';
import {
  act,
  ended,
  findJob,
  history,
  JOB,
  type JobView,
  jobThat,
  submitGraph,
  submitted,
} from '../support/jobs.ts';

const TIMEOUT_MS = 120_000;
const INSTANCE = { stepMs: 300, previewMethod: 'latent' } as const;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start({ instances: [INSTANCE, INSTANCE] });
}, TIMEOUT_MS);
afterAll(() => cluster?.stop());

let salt = 0;
const submitShort = (client: TestClient) =>
  submitGraph(client, sleepGraph({ seconds: 0.2, steps: 2, salt: ++salt }));

/** Runs for most of a minute, unless `hurry` lets it off the rest. */
function submitLong(client: TestClient, all = cluster): Promise<JobView> {
  for (const { control } of all.instances) control.adjust({ stepMs: INSTANCE.stepMs });
  return submitted(client, 'generateImage', { prompt: `road ${++salt}`, steps: 150, width: 64, height: 64 });
}

/** From now on, until the next long job, steps take no time. */
function hurry(all = cluster): void {
  for (const { control } of all.instances) control.adjust({ stepMs: 0 });
}

/** The same address at another replica. */
function at(replica: GatewayProcess, url: string | undefined): string {
  const { pathname, search } = new URL(url ?? 'missing:');
  return `${replica.url}${pathname}${search}`;
}

const isUnderWay = ({ progress }: JobView): boolean => progress.step !== null;

function runsOf(job: JobView) {
  const ids = job.attempts.map(({ promptId }) => promptId);
  return cluster.instances
    .flatMap(({ control }) => control.executions())
    .filter(({ promptId }) => ids.includes(promptId));
}

/** One attempt, one execution, one result. */
function expectOneRun(job: JobView): void {
  expect(job).toMatchObject({ status: 'COMPLETED', outputs: [{ mimeType: 'image/png' }] });
  expect(job.attempts).toHaveLength(1);
  expect(runsOf(job)).toMatchObject([{ outcome: 'success' }]);
}

const deleted: string[] = [];
const judged = (differences: Partial<Evidence> = {}) => cluster.judged({ deleted, ...differences });

/** A client as frontends have it: whenever its connection is gone it goes to the other replica and asks again. */
function wanderer(id: string): {
  readonly seen: JobView[];
  readonly done: Promise<void>;
  moves: () => number;
} {
  const seen: JobView[] = [];
  let dials = 0;
  const client = createClient({
    url: () => {
      const replica = cluster.apis[dials++ % cluster.apis.length];
      return `${replica?.url.replace(/^http/, 'ws')}/graphql`;
    },
    webSocketImpl: WebSocket,
    retryAttempts: 100,
    retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
    shouldRetry: () => true,
  });
  onTestFinished(async () => client.dispose());
  const query = `subscription Follow($id: ID!) { job(id: $id) { ${JOB} } }`;
  const done = (async () => {
    for await (const { data } of client.iterate<{ job: JobView }>({ query, variables: { id } }))
      if (data) seen.push(data.job);
  })();
  return { seen, done, moves: () => dials - 1 };
}

const endsIn = (seen: readonly JobView[]) => seen.filter(({ status }) => status === 'COMPLETED').length;

describe('two api replicas', () => {
  it(
    'show any job live, its previews and its files, wherever it was submitted and runs',
    async () => {
      const [first, second] = [cluster.client(0), cluster.client(1)];
      const { id } = await submitLong(first);
      const running = await jobThat(second, id, (job) => !!job.preview && isUnderWay(job));
      for (const replica of cluster.apis) {
        const picture = await fetch(at(replica, running.preview?.url));
        expect([picture.status, picture.headers.get('content-type')]).toEqual([200, 'image/jpeg']);
      }
      const watching = history(second, id);
      await jobThat(second, id, ({ progress }) => (progress.step ?? 0) > (running.progress.step ?? 0));
      hurry();
      const snapshots = await watching;
      expect(snapshots.some(isUnderWay)).toBe(true);
      const job = snapshots.at(-1) as JobView;
      expectOneRun(job);
      for (const replica of cluster.apis)
        expect((await fetch(at(replica, job.outputs[0]?.url))).status).toBe(200);
      expect(await findJob(first, id)).toMatchObject({ status: 'COMPLETED' });
    },
    TIMEOUT_MS,
  );

  it(
    'cancel and delete what the other one took in, and the run ends on its instance',
    async () => {
      const [first, second] = [cluster.client(0), cluster.client(1)];
      const { id } = await submitLong(first);
      const running = await jobThat(first, id, isUnderWay);
      expect((await act(second, 'cancelJob', id)).job?.status).toBe('CANCELED');
      await eventually(() => runsOf(running)[0]?.outcome === 'interrupted');
      expect((await act(second, 'deleteJob', id)).deletedJobId).toBe(id);
      deleted.push(decodeGlobalId(id)?.id ?? '');
      expect(await findJob(first, id)).toBeNull();
    },
    TIMEOUT_MS,
  );

  it(
    'lose no subscriber when one of them is killed: it comes back to the other and hears the end once',
    async () => {
      const { id } = await submitLong(cluster.client(1));
      const watching = wanderer(id);
      const events = new EventWatch(id);
      events.listen(cluster.client(0));
      await eventually(() => watching.seen.some(isUnderWay), { withinMs: 30_000 });
      await cluster.end(cluster.apis[0] as GatewayProcess, 'SIGKILL');
      await events.left();
      events.listen(cluster.client(0));
      await eventually(() => watching.moves() > 0, { withinMs: 30_000 });
      hurry();
      await watching.done;
      await eventually(() => events.ended);
      await events.left();
      expect(endsIn(watching.seen)).toBe(1);
      expectOneRun(watching.seen.at(-1) as JobView);
      await cluster.addApi();
      await judged({ subscribers: [events.log()] });
    },
    TIMEOUT_MS,
  );

  it(
    'are replaced one after the other without losing a subscriber',
    async () => {
      const { id } = await submitLong(cluster.client(0));
      const watching = [wanderer(id), wanderer(id)];
      for (const { seen } of watching) await eventually(() => seen.some(isUnderWay), { withinMs: 30_000 });
      for (const old of [...cluster.apis]) {
        await cluster.addApi();
        await cluster.end(old, 'SIGTERM');
        const before = watching.map(({ seen }) => seen.length);
        for (const [index, { seen }] of watching.entries())
          await eventually(() => seen.length > (before[index] ?? 0) + 2, { withinMs: 30_000 });
      }
      expect(watching.reduce((sum, { moves }) => sum + moves(), 0)).toBeGreaterThan(1);
      expect((await act(cluster.client(0), 'cancelJob', id)).job?.status).toBe('CANCELED');
      for (const { done, seen } of watching) {
        await done;
        expect(seen.filter(({ status }) => status === 'CANCELED')).toHaveLength(1);
      }
      await judged();
    },
    TIMEOUT_MS,
  );
});

describe('a scheduler and its standby', () => {
  it(
    'change places when the leader is killed in the middle of a job: it is adopted, runs once, and its watchers go on',
    async () => {
      const client = cluster.client();
      const leader = await cluster.leader();
      const { id } = await submitLong(client);
      const snapshots = history(client, id);
      await jobThat(client, id, isUnderWay);
      await cluster.end(leader, 'SIGKILL');
      await cluster.leader();
      // progress of the adopted run arrives
      const step = (await findJob(client, id))?.progress.step ?? 0;
      await jobThat(
        client,
        id,
        ({ progress, status }) => (progress.step ?? 0) > step || status === 'COMPLETED',
      );
      expectOneRun((await snapshots).at(-1) as JobView);
      await cluster.addScheduler();
      await judged();
    },
    TIMEOUT_MS,
  );

  it(
    'touch the instances one at a time: only the leader has sockets to them',
    async () => {
      const sockets = () => cluster.instances.map(({ control }) => control.socketCount());
      const leader = await cluster.leader();
      await eventually(() => sockets().every((count) => count === 1));
      await cluster.end(leader, 'SIGTERM');
      await cluster.leader();
      await eventually(() => sockets().every((count) => count === 1));
      await cluster.addScheduler();
      expect(sockets()).toEqual([1, 1]);
    },
    TIMEOUT_MS,
  );

  it(
    'are frozen and thawed: a leader that slept past its lease changes nothing any more, and stands by (F36)',
    async () => {
      const client = cluster.client();
      for (let round = 0; round < 2; round++) {
        const leader = await cluster.leader();
        const long = await submitLong(client);
        await jobThat(client, long.id, isUnderWay);
        const short: JobView[] = [];
        for (let n = 0; n < 10; n++) short.push(await submitShort(client));
        leader.send('SIGSTOP');
        const next = await cluster.leader(leader);
        leader.send('SIGCONT');
        // both are awake, one of them leads: the other one neither stops nor repeats anything
        for (const { id } of short) expectOneRun(await ended(client, id));
        hurry();
        expectOneRun(await ended(client, long.id));
        expect(await cluster.leader()).toBe(next);
        await eventually(async () => (await fetch(`${leader.url}/ready`)).ok);
      }
      await judged();
    },
    TIMEOUT_MS,
  );

  it(
    'are both gone: the api says so, takes jobs, and they run once there is a scheduler again',
    async () => {
      const client = cluster.client();
      for (const one of [...cluster.schedulers]) await cluster.end(one, 'SIGTERM');
      const { id } = await submitShort(client);
      const report = async () =>
        (await (await fetch(`${cluster.apis[0]?.url}/health`)).json()) as {
          status: string;
          checks: { name: string; ok: boolean; message: string }[];
        };
      const { status, checks } = await report();
      expect(status).toBe('CRITICAL');
      expect(checks.find(({ name }) => name === 'scheduler')).toMatchObject({
        ok: false,
        message: expect.stringContaining('ROLE=scheduler'),
      });
      expect(await findJob(client, id)).toMatchObject({ status: 'PENDING' });
      await cluster.addScheduler();
      expectOneRun(await ended(client, id));
      await eventually(async () => (await report()).status === 'HEALTHY');
      await cluster.addScheduler();
    },
    TIMEOUT_MS,
  );
});

describe('a leader that stops in order', () => {
  it(
    'is followed at once, however long its lease would have lasted',
    async () => {
      const patient = await Cluster.start({
        instances: [INSTANCE],
        apis: 1,
        env: { LEASE_TTL_MS: '3600000' },
      });
      onTestFinished(() => patient.stop());
      const client = patient.client();
      const leader = await patient.leader();
      const { id } = await submitLong(client, patient);
      await jobThat(client, id, isUnderWay);
      await patient.end(leader, 'SIGTERM');
      await patient.leader();
      hurry(patient);
      const job = await ended(client, id);
      expect(job.attempts).toHaveLength(1);
      expect(patient.instances.flatMap(({ control }) => control.executions())).toMatchObject([
        { outcome: 'success' },
      ]);
      await patient.judged();
    },
    TIMEOUT_MS,
  );
});
