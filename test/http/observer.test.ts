/** What figures are told of requests: each once, also one whose client did not wait for its answer. */
import { request } from 'node:http';
import { createClient } from 'graphql-sse';
import { expect, it, onTestFinished } from 'vitest';
import type { ServedRequest } from '../../src/http/observer.ts';
import { eventually } from '../support/eventually.ts';
import { startGateway } from '../support/gateway.ts';

async function observed() {
  const told: ServedRequest[] = [];
  const nothing = () => undefined;
  const observer = {
    ...{ onOperation: nothing, onStream: nothing, onSocket: nothing },
    onRequest: (served: ServedRequest) => void told.push(served),
  };
  const gateway = await startGateway({}, { observer });
  onTestFinished(() => gateway.stop());
  return { gateway, told };
}

it('a request is told with the template of its path, once', async () => {
  const { gateway, told } = await observed();
  await gateway.query('{ jobs { totalCount } }');
  await (await fetch(`${gateway.url}/files/nobody`)).arrayBuffer();
  await (await fetch(`${gateway.url}/elsewhere`)).arrayBuffer();
  await eventually(() => told.length === 3);
  expect(told).toMatchObject([
    { route: '/graphql', method: 'POST', status: 200, ms: expect.any(Number) },
    { route: expect.stringMatching(/^\/files\/:/), method: 'GET' },
    { route: null, method: 'GET', status: 404 },
  ]);
});

it('a stream is told when its client leaves', async () => {
  const { gateway, told } = await observed();
  const client = createClient({ url: gateway.graphqlUrl });
  const results = client.iterate({ query: 'subscription { queue { pending } }' });
  await results.next();
  expect(told).toEqual([]);
  client.dispose();
  await eventually(() => told.length > 0);
  expect(told).toMatchObject([{ route: '/graphql', method: 'POST', status: 200 }]);
});

it('a request whose client leaves before it is answered is told as 499', async () => {
  const { gateway, told } = await observed();
  const headers = { 'content-type': 'application/json', 'content-length': 100 };
  const asking = request(gateway.graphqlUrl, { method: 'POST', headers });
  asking.on('error', () => undefined);
  asking.write('{"query":', () => setImmediate(() => asking.destroy()));
  await eventually(() => told.length > 0);
  expect(told).toMatchObject([{ route: '/graphql', method: 'POST', status: 499 }]);
});
