/** The gateway as a process, on a Postgres of its own that crashes again and again while clients submit, watch and wait. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';
import { openAttempts } from '../../src/store/attempts.ts';
import { openStore } from '../../src/store/open.ts';
import { eventually } from '../support/eventually.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts';
import { type Answer, TestClient } from '../support/graphql-client.ts';
import { assertHistory } from '../support/history-checker.ts';
import { PostgresServer } from '../support/services/postgres-server.ts';

const SUBMIT = `mutation ($input: SubmitJobInput!) { submitJob(input: $input) {
  __typename ... on SubmitJobSuccess { job { id } } ... on Error { code } } }`;
interface Submitted {
  readonly submitJob: { readonly __typename: string; readonly job?: { readonly id: string } };
}

const graph = (salt: number) => ({
  '1': { class_type: 'RigSleep', inputs: { seconds: 0.4, steps: 4, preview: 'none', salt } },
  '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'test' } },
});

const RESTARTS = 4;

async function startAll(): Promise<{
  server: PostgresServer;
  instances: Simulator[];
  gateway: GatewayProcess;
}> {
  const server = await PostgresServer.create();
  onTestFinished(() => server.dispose());
  await server.start();
  const instances = await Promise.all([startSimulator(), startSimulator()]);
  onTestFinished(async () => {
    await Promise.all(instances.map((one) => one.stop()));
  });
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-restarts-'));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  const urls = instances.map(({ url }, index) => `gpu${index}=${url}`);
  const gateway = await startGatewayProcess(dataDir, urls, { DATABASE_URL: server.url });
  return { server, instances, gateway };
}

/** As a client should: while it is told to try again, the same once more. Any other error fails the test. */
async function submitSurely(client: TestClient, salt: number): Promise<string> {
  const input = { graph: graph(salt), idempotencyKey: `job ${salt}` };
  return eventually(
    async () => {
      const { data, errors }: Answer<Submitted> = await client.ask<Submitted>(SUBMIT, { input });
      for (const { extensions } of errors)
        expect(extensions).toMatchObject({ code: 'STORE_UNAVAILABLE', retryable: true });
      return data?.submitJob.job?.id;
    },
    { withinMs: 20_000, what: `submit ${salt} is acknowledged` },
  );
}

it('a Postgres that crashes again and again: nothing acknowledged is lost, everything ends once (F31)', async () => {
  const { server, instances, gateway } = await startAll();
  const client = new TestClient(gateway.url);
  onTestFinished(() => client.close());
  const ends = new Map<string, number>();
  let over = false;
  const watching = (async () => {
    const query = 'subscription { jobs { id status } }';
    for await (const { data } of client.watch<{ jobs: { id: string; status: string } }>(query))
      if (data?.jobs.status === 'COMPLETED') ends.set(data.jobs.id, (ends.get(data.jobs.id) ?? 0) + 1);
  })().finally(() => {
    over = true;
  });
  watching.catch(() => undefined);
  const acknowledged: string[] = [];
  const submitting = (async () => {
    for (let job = 0; job < 16; job++) acknowledged.push(await submitSurely(client, job));
  })();
  for (let restart = 0; restart < RESTARTS; restart++) {
    // in the midst of things: each time some more were taken in
    await eventually(() => acknowledged.length > restart * 3);
    await server.restart('immediate');
  }
  await submitting;
  await eventually(() => acknowledged.every((id) => ends.has(id)), {
    withinMs: 30_000,
    what: 'the watcher has seen every job end',
  });
  expect(over).toBe(false);
  expect(new Set(acknowledged).size).toBe(16);
  const store = await openStore({ url: server.url, dataDir: '', logger: createLogger('silent') });
  onTestFinished(() => store.stop());
  await eventually(async () => (await openAttempts(store.db)).length === 0);
  const rows = await store.db.selectFrom('jobs').select(['status']).execute();
  expect(rows.map(({ status }) => status)).toEqual(acknowledged.map(() => 'COMPLETED'));
  await client.close();
  expect(await gateway.end('SIGTERM')).toBe(0);
  await assertHistory(store.db, {
    instances: instances.map(({ control }, index) => ({
      name: `gpu${index}`,
      prompts: control.prompts(),
      executions: control.executions(),
    })),
  });
}, 90_000);

it('a process that starts before its database waits for it, and a stop does not wait for one that went (F31)', async () => {
  const server = await PostgresServer.create();
  onTestFinished(() => server.dispose());
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-early-'));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  const starting = startGatewayProcess(dataDir, [], { DATABASE_URL: server.url });
  await server.start();
  const gateway = await starting;
  await server.stop('immediate');
  const ready = await fetch(`${gateway.url}/ready`);
  expect(ready.status).toBe(503);
  // a stop does not hang on a database that is away
  expect(await gateway.end('SIGTERM')).toBe(0);
}, 60_000);
