import { createClient as createSseClient } from 'graphql-sse';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { globalId } from '../../src/graphql/global-id.ts';
import type { OperationReport } from '../../src/graphql/operation-reports.ts';
import { BareSocket, subscribe } from '../support/bare-socket.ts';
import { eventually } from '../support/eventually.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

const reports: OperationReport[] = [];
const streams: [field: string, by: number][] = [];
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway(
    {},
    {
      observer: {
        onOperation: (report) => void reports.push(report),
        onStream: (field, by) => void streams.push([field, by]),
        onRequest: () => undefined,
        onSocket: () => undefined,
      },
    },
  );
});
afterAll(() => gateway.stop());
beforeEach(() => {
  reports.length = 0;
  streams.length = 0;
});

const DEEP = `{ ${Array.from({ length: 31 }, (_, n) => `a${n}: __typename`).join(' ')} }`;

/** What was asked, and what is told of it. */
const ANSWERS: [text: string, told: Partial<OperationReport>][] = [
  ['query Fine { __typename }', { type: 'query', name: 'Fine', outcome: 'ok', codes: [] }],
  ['{ __typename }', { type: 'query', name: null, outcome: 'ok' }],
  ['{', { type: null, name: null, outcome: 'error', codes: ['GRAPHQL_PARSE_FAILED'] }],
  ['query Q { nothing }', { type: 'query', name: 'Q', codes: ['GRAPHQL_VALIDATION_FAILED'] }],
  [DEEP, { type: 'query', outcome: 'error', codes: ['QUERY_TOO_COMPLEX'] }],
  ['query ($n: Int!) { jobs(first: $n) { totalCount } }', { type: 'query', codes: ['BAD_USER_INPUT'] }],
  [
    `mutation { cancelJob(input: { id: "x" }) { __typename } }`,
    { type: 'mutation', outcome: 'ok', codes: [] },
  ],
  [
    'subscription S { job(id: "x") { id } }',
    { type: 'subscription', name: 'S', outcome: 'error', codes: ['NOT_FOUND'] },
  ],
];

describe('every operation is told of once', () => {
  it.each(ANSWERS)('over HTTP: %s', async (query, told) => {
    const requestId = `r-${Math.random()}`;
    await gateway.query(query, {}, { 'x-request-id': requestId, accept: '*/*' });
    const transport = told.type === 'subscription' ? 'sse' : 'http';
    expect(reports).toEqual([expect.objectContaining({ ...told, requestId, transport })]);
    expect(reports[0]?.ms).toBeGreaterThanOrEqual(0);
  });

  it.each(ANSWERS)('over WebSocket: %s', async (query, told) => {
    const bare = await new BareSocket(gateway.socketUrl, { headers: { 'x-request-id': 'sock' } }).open();
    bare.send(subscribe('a', query));
    await bare.until(({ id, type }) => id === 'a' && type !== 'next');
    bare.socket.close();
    await bare.closed;
    const code = { ...told, codes: told.codes ?? [] };
    expect(reports).toEqual([
      expect.objectContaining({ ...code, requestId: 'sock', transport: 'websocket' }),
    ]);
  });

  it('also when it is refused before it was read: a body that is none, a mutation by GET', async () => {
    const json = { 'content-type': 'application/json' };
    await fetch(gateway.graphqlUrl, { method: 'POST', headers: json, body: 'nonsense' });
    await fetch(gateway.graphqlUrl, { method: 'POST', headers: json, body: '{}' });
    await fetch(`${gateway.graphqlUrl}?query=mutation{__typename}`);
    expect(reports).toMatchObject([
      { type: null, outcome: 'error', codes: ['BAD_USER_INPUT'] },
      { type: null, outcome: 'error' },
      { type: 'mutation', outcome: 'error', codes: ['BAD_REQUEST'] },
    ]);
  });

  it('cut to a length that a line can hold, where its name is long', async () => {
    await gateway.query(`query ${'N'.repeat(5000)} { __typename }`);
    expect(reports[0]?.name).toBe('N'.repeat(100));
  });

  it('and over WebSocket when its id is taken, or it names no operation', async () => {
    const bare = await new BareSocket(gateway.socketUrl).open();
    bare.send(subscribe('a', 'subscription { queue { id } }'));
    await bare.until(({ id }) => id === 'a');
    bare.send(subscribe('b', 'query A { __typename } query B { __typename }'));
    await bare.until(({ id }) => id === 'b');
    expect(reports).toMatchObject([{ type: null, outcome: 'error', codes: ['BAD_USER_INPUT'] }]);
    bare.socket.close();
    await eventually(() => reports.length === 2);
    expect(reports[1]).toMatchObject({ type: 'subscription', outcome: 'ok', codes: [] });
  });
});

describe('a subscription is told of when it ends', () => {
  it('over WebSocket, by its client', async () => {
    const bare = await new BareSocket(gateway.socketUrl).open();
    bare.send(subscribe('a', 'subscription Watch { renamed: queue { id } }'));
    await bare.until(({ id }) => id === 'a');
    expect(reports).toEqual([]);
    expect(streams).toEqual([['queue', 1]]);
    bare.send({ id: 'a', type: 'complete' });
    await eventually(() => reports.length > 0);
    expect(reports).toMatchObject([
      { type: 'subscription', name: 'Watch', transport: 'websocket', outcome: 'ok' },
    ]);
    expect(streams).toEqual([
      ['queue', 1],
      ['queue', -1],
    ]);
    bare.socket.close();
    await bare.closed;
    expect(reports).toHaveLength(1);
  });

  it('over server-sent events, by a client that goes away', async () => {
    const client = createSseClient({ url: gateway.graphqlUrl, retryAttempts: 0 });
    const results = client.iterate({ query: 'subscription { instances { id } queue: __typename }' });
    await results.next().catch(() => undefined);
    const fine = client.iterate({ query: 'subscription Fine { queue { id } }' });
    await fine.next();
    expect(streams).toEqual([['queue', 1]]);
    client.dispose();
    await eventually(() => reports.length > 1);
    expect(reports).toMatchObject([
      { type: 'subscription', name: null, transport: 'sse', codes: ['GRAPHQL_VALIDATION_FAILED'] },
      { type: 'subscription', name: 'Fine', transport: 'sse', outcome: 'ok' },
    ]);
    expect(streams).toEqual([
      ['queue', 1],
      ['queue', -1],
    ]);
  });

  it('with what went wrong in it', async () => {
    const job = await gateway.addJob();
    const bare = await new BareSocket(gateway.socketUrl).open();
    bare.send(subscribe('job', `subscription { job(id: "${globalId('Job', job.id)}") { id status } }`));
    await bare.until((message) => message.id === 'job');
    const original = gateway.store.db.executeQuery;
    Object.assign(gateway.store.db, {
      executeQuery: () => {
        throw new Error('broken');
      },
    });
    const change = { type: 'durable', event: { type: 'canceled' } } as const;
    gateway.bus.publish({ kind: 'job', jobId: job.id, tenant: job.tenant, seq: 99, at: 0, change });
    await eventually(() => reports.length > 0);
    Object.assign(gateway.store.db, { executeQuery: original });
    expect(reports).toMatchObject([{ outcome: 'error', codes: ['INTERNAL_SERVER_ERROR'] }]);
    expect(streams).toEqual([
      ['job', 1],
      ['job', -1],
    ]);
    bare.socket.close();
  });
});
