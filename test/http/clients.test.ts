import { ApolloClient, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { fetchExchange, subscriptionExchange, Client as UrqlClient } from '@urql/core';
import { createClient as createSseClient } from 'graphql-sse';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startRunner } from '../support/runner.ts';
import { socketClient } from '../support/watch.ts';

const SUBMIT = `mutation Submit($input: SubmitJobInput!) { submitJob(input: $input) {
  __typename ... on SubmitJobSuccess { job { id status } } ... on Error { message } } }`;
const WATCH = `subscription Watch($id: ID!) { job(id: $id) {
  id status progress { id fraction } outputs { id mimeType } } }`;
const READ = `query Read($id: ID!) { job(id: $id) { id status progress { id fraction } outputs { id mimeType } } }`;
const INPUT = { input: { workflow: 'generateImage', inputs: { prompt: 'a lighthouse' } } };

interface SeenJob {
  readonly id: string;
  readonly status: string;
  readonly progress: { readonly fraction: number };
  readonly outputs: readonly { readonly id: string }[];
}
interface Submitted {
  readonly submitJob: { readonly job: { readonly id: string } };
}

let gateway: TestGateway;
let stopRunner: () => void;
beforeAll(async () => {
  gateway = await startGateway();
  stopRunner = await startRunner(gateway, await gateway.addInstance('gpu'));
});
afterAll(async () => {
  stopRunner();
  await gateway.stop();
});

function expectWhole(seen: readonly SeenJob[]): void {
  expect(seen.at(-1)).toMatchObject({ status: 'COMPLETED', progress: { fraction: 1 } });
  expect(seen.at(-1)?.outputs).toHaveLength(1);
  const fractions = seen.map(({ progress }) => progress.fraction);
  expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
}

describe('a job is submitted and watched to its end', () => {
  it('by graphql-ws', async () => {
    const client = socketClient(gateway.socketUrl);
    const submitted = client.iterate<Submitted>({ query: SUBMIT, variables: INPUT });
    const { value } = await submitted.next();
    const id = value?.data?.submitJob.job.id;
    const seen: SeenJob[] = [];
    for await (const { data } of client.iterate<{ job: SeenJob }>({ query: WATCH, variables: { id } })) {
      if (data) seen.push(data.job);
    }
    expectWhole(seen);
    await client.dispose();
  });

  it('by graphql-sse', async () => {
    const client = createSseClient({ url: gateway.graphqlUrl, fetchFn: fetch, retryAttempts: 0 });
    const submitted = client.iterate<Submitted>({ query: SUBMIT, variables: INPUT });
    const { value } = await submitted.next();
    const id = value?.data?.submitJob.job.id;
    const seen: SeenJob[] = [];
    for await (const { data } of client.iterate<{ job: SeenJob }>({ query: WATCH, variables: { id } })) {
      if (data) seen.push(data.job);
    }
    expectWhole(seen);
    client.dispose();
  });

  it('by Apollo Client, whose cache refreshes an open query', async () => {
    const socket = socketClient(gateway.socketUrl);
    const cache = new InMemoryCache({ possibleTypes: { Error: ['ValidationError', 'QueueFullError'] } });
    const client = new ApolloClient({ link: new HttpLink({ uri: gateway.graphqlUrl, fetch }), cache });
    const live = new ApolloClient({ link: new GraphQLWsLink(socket), cache });
    const { data } = await client.mutate<Submitted>({ mutation: gql(SUBMIT), variables: INPUT });
    const id = data?.submitJob.job.id;
    const open: SeenJob[] = [];
    const reading = client
      .watchQuery<{ job: SeenJob }>({ query: gql(READ), variables: { id } })
      .subscribe(({ data: read }) => {
        if (read?.job?.status) open.push(read.job as SeenJob);
      });
    const seen: SeenJob[] = [];
    await new Promise<void>((resolve, reject) => {
      live.subscribe<{ job: SeenJob }>({ query: gql(WATCH), variables: { id } }).subscribe({
        next: ({ data: watched }) => watched && seen.push(watched.job),
        error: reject,
        complete: resolve,
      });
    });
    expectWhole(seen);
    const cached = client.readQuery<{ job: SeenJob }>({ query: gql(READ), variables: { id } });
    expect(cached?.job).toMatchObject({ status: 'COMPLETED', progress: { fraction: 1 } });
    reading.unsubscribe();
    client.stop();
    live.stop();
    await socket.dispose();
  });

  it('by urql, over WebSocket and over server-sent events', async () => {
    const socket = socketClient(gateway.socketUrl);
    const overSocket = subscriptionExchange({
      forwardSubscription: (request) => ({
        subscribe: (sink) => ({
          unsubscribe: socket.subscribe({ ...request, query: request.query ?? '' }, sink as never),
        }),
      }),
    });
    const base = { url: gateway.graphqlUrl, fetch, preferGetMethod: false } as const;
    const clients = [
      new UrqlClient({ ...base, exchanges: [overSocket, fetchExchange] }),
      new UrqlClient({ ...base, exchanges: [fetchExchange], fetchSubscriptions: true }),
    ];
    for (const client of clients) {
      const { data } = await client.mutation<Submitted>(SUBMIT, INPUT).toPromise();
      const id = data?.submitJob.job.id;
      const seen: SeenJob[] = [];
      await new Promise<void>((resolve, reject) => {
        client.subscription<{ job: SeenJob }>(WATCH, { id }).subscribe(({ data: watched, error }) => {
          if (error) reject(error);
          if (watched) seen.push(watched.job);
          if (watched?.job.status === 'COMPLETED') resolve();
        });
      });
      expectWhole(seen);
    }
    await socket.dispose();
  });
});
