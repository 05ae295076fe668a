/** What clients feel while the database is away: a typed error they can repeat, nothing made twice, and watching goes on. */
import type { Client } from 'graphql-ws';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileUrls } from '../../src/graphql/file-urls.ts';
import { globalId } from '../../src/graphql/global-id.ts';
import { eventually } from '../support/eventually.ts';
import { type Answer, startGateway, TERM, type TestGateway } from '../support/gateway.ts';
import { openShakyDatabase, type ShakyDatabase } from '../support/shaky-store.ts';
import { socketClient, watch } from '../support/watch.ts';

let database: ShakyDatabase;
let gateway: TestGateway;
let client: Client;
beforeEach(async () => {
  database = await openShakyDatabase();
  gateway = await startGateway({ DATABASE_URL: database.url });
  client = socketClient(gateway.socketUrl);
});
afterEach(async () => {
  await client.dispose();
  await gateway.stop();
  await database.close();
});

const SUBMIT = `mutation ($input: SubmitJobInput!) { submitJob(input: $input) {
  __typename ... on SubmitJobSuccess { job { id } } ... on Error { code message } } }`;
const INPUT = {
  graph: {
    '1': { class_type: 'EmptyImage', inputs: { width: 8, height: 8, batch_size: 1, color: 0 } },
    '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'a secret' } },
  },
};

const submit = (input: object) => gateway.query(SUBMIT, { input });
const jobCount = async (): Promise<number> => (await database.direct('select id from jobs')).length;
const back = () => eventually(() => gateway.store.healthy());

const AWAY = {
  code: 'STORE_UNAVAILABLE',
  retryable: true,
  retryAfterMs: expect.any(Number),
  requestId: expect.any(String),
};

/** Nothing of the database's address, its words or the statement. */
function saysNothing(answer: unknown): void {
  expect(JSON.stringify(answer)).not.toMatch(
    /127\.0\.0\.1|ECONN|postgres|comfyfleet_test|insert|select|a secret/i,
  );
}

describe('while the database is away (F31)', () => {
  it('queries and submits are told to try again, acknowledge nothing, and work when it is back', async () => {
    await database.proxy.down();
    const refused = await submit(INPUT);
    expect(refused.errors?.map(({ extensions }) => extensions)).toEqual([AWAY]);
    expect(refused.data).toBeNull();
    saysNothing(refused);
    const asked = await gateway.query('{ jobs { totalCount } }');
    expect(asked.errors?.[0]?.extensions).toEqual(AWAY);
    expect(await jobCount()).toBe(0);
    await database.proxy.up();
    await back();
    expect((await submit(INPUT)).errors).toBeUndefined();
    expect(await jobCount()).toBe(1);
  });

  it('a job that was accepted is answered as such, though its end cannot be waited for', async () => {
    const waiting = submit({ ...INPUT, waitMs: 1500 });
    await eventually(async () => (await jobCount()) === 1);
    await database.proxy.down();
    gateway.bus.missed();
    const answer = await waiting;
    expect(answer.errors).toBeUndefined();
    expect(answer.data).toMatchObject({ submitJob: { __typename: 'SubmitJobSuccess' } });
  });

  it('answers over HTTP as GraphQL does: the operation failed, the request did not', async () => {
    await database.proxy.down();
    const { status } = await fetch(gateway.graphqlUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ query: SUBMIT, variables: { input: INPUT } }),
    });
    expect(status).toBe(200);
  });

  it('files answer 503 and when to come back; readiness and health say it', async () => {
    await database.proxy.down();
    const urls = new FileUrls(gateway.signer, gateway.url, () => Date.now());
    const file = await fetch(urls.file(globalId('ImageOutput', 'some-output')));
    expect(file.status).toBe(503);
    expect(Number(file.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(file.headers.get('cache-control')).toBe('no-store');
    const told: unknown = await file.json();
    expect(told).toMatchObject({ code: 'STORE_UNAVAILABLE' });
    saysNothing(told);
    expect((await fetch(`${gateway.url}/ready`)).status).toBe(503);
    expect((await fetch(`${gateway.url}/live`)).status).toBe(200);
    const health = await fetch(`${gateway.url}/health`);
    expect(health.status).toBe(503);
    expect(await health.json()).toMatchObject({ status: 'CRITICAL' });
    await database.proxy.up();
    await back();
    expect((await fetch(`${gateway.url}/ready`)).status).toBe(200);
    expect((await fetch(urls.file(globalId('ImageOutput', 'some-output')))).status).toBe(404);
  });

  it('a database that hangs is told the same way, readiness in time', async () => {
    for (const way of ['upstream', 'downstream'] as const)
      database.proxy.add(way, { type: 'bandwidth', bytesPerSecond: 0 });
    const hanging = submit(INPUT);
    expect((await fetch(`${gateway.url}/ready`)).status).toBe(503);
    expect((await hanging).errors?.[0]?.extensions).toEqual(AWAY);
    database.proxy.cut();
    database.proxy.clear();
    await back();
    expect(await jobCount()).toBe(0);
  });

  it('watching goes on: quiet, then what happened meanwhile, and the end once', async () => {
    const instance = await gateway.addInstance('gpu');
    const job = await gateway.addJob();
    const attempt = await gateway.assign(job.id, instance);
    const id = globalId('Job', job.id);
    const one = watch<{ status: string }>(client, 'subscription ($id: ID!) { job(id: $id) { id status } }', {
      id,
    });
    const events = watch<{ __typename: string }>(
      client,
      'subscription ($id: ID!) { jobEvents(id: $id) { __typename cursor } }',
      { id },
    );
    const many = watch<{ status: string }>(client, 'subscription { jobs { id status } }');
    await eventually(() => one.values.length > 0 && events.values.length === 2 && many.values.length > 0);
    await database.proxy.down();
    // each hears something and cannot read the row
    const change = { type: 'durable', event: { type: 'output', outputId: 'x' } } as const;
    gateway.bus.publish({ kind: 'job', jobId: job.id, tenant: job.tenant, seq: 9, at: Date.now(), change });
    await eventually(async () => (await submit(INPUT)).errors);
    await database.proxy.up();
    await back();
    await gateway.recorder.collecting(attempt, TERM);
    await gateway.recorder.complete(attempt, TERM, 5);
    await Promise.all([one.ended(), events.ended()]);
    const isEnd = ({ status }: { status: string }): boolean => status === 'COMPLETED';
    await many.until(isEnd);
    expect([...one.errors, ...events.errors, ...many.errors]).toEqual([]);
    expect(many.done()).toBe(false);
    expect(one.values.filter(isEnd)).toHaveLength(1);
    expect(events.values.map(({ __typename }) => __typename)).toEqual([
      'JobQueued',
      'JobStarted',
      'JobFinished',
    ]);
    expect(many.values.filter(isEnd)).toHaveLength(1);
  });

  it.each(['cut', 'lost answer'])(
    'a submit with an idempotency key makes one job, however often it is repeated: %s',
    async (how) => {
      const input = { ...INPUT, idempotencyKey: 'once' };
      const toxic = database.proxy.add('downstream', { type: 'bandwidth', bytesPerSecond: 0 });
      if (how === 'cut') await database.proxy.down();
      const first: Answer = await submit(input);
      expect(first.errors?.[0]?.extensions?.code).toBe('STORE_UNAVAILABLE');
      toxic.remove();
      database.proxy.cut();
      await database.proxy.up();
      await back();
      for (let again = 0; again < 3; again++) expect((await submit(input)).errors).toBeUndefined();
      expect(await jobCount()).toBe(1);
    },
  );
});
