import { once } from 'node:events';
import { connect } from 'node:net';
import { createClient as createSseClient, NetworkError } from 'graphql-sse';
import { describe, expect, it } from 'vitest';
import { globalId } from '../../src/graphql/global-id.ts';
import { eventually } from '../support/eventually.ts';
import { startGateway } from '../support/gateway.ts';
import { socketClient, watch } from '../support/watch.ts';

describe('stopping', () => {
  it('closes subscriptions on every transport so that their clients come back, answers who waits with the job as it is, and leaves nothing open (F9)', async () => {
    const gateway = await startGateway();
    const job = await gateway.addJob();
    const query = 'subscription ($id: ID!) { job(id: $id) { id status } }';
    const variables = { id: globalId('Job', job.id) };
    const client = socketClient(gateway.socketUrl);
    const socket = watch<{ status: string }>(client, query, variables);
    await socket.until(() => true);
    const sse: unknown[] = [];
    const sseEnd = new Promise<unknown>((resolve) => {
      createSseClient({ url: gateway.graphqlUrl, fetchFn: fetch, retryAttempts: 0 }).subscribe(
        { query, variables },
        { next: (value) => sse.push(value), error: resolve, complete: () => resolve('completed') },
      );
    });
    await eventually(() => sse.length === 1, { what: 'the first event' });
    const waiting = gateway.query(
      `mutation { submitJob(input: { workflow: "generateImage", inputs: { prompt: "a" }, waitMs: 60000 }) {
        ... on SubmitJobSuccess { job { status } } } }`,
    );
    await eventually(() => gateway.logs.some(({ msg }) => msg === 'job submitted'));
    await gateway.stop();
    await socket.ended();
    // "service restart": graphql-ws connects again; to graphql-sse a network error is what it tries again after
    expect(socket.errors).toMatchObject([{ code: 1012 }]);
    expect(await sseEnd).toBeInstanceOf(NetworkError);
    expect((await waiting).data).toEqual({ submitJob: { job: { status: 'PENDING' } } });
    await expect(fetch(`${gateway.url}/live`)).rejects.toThrow();
    await client.dispose();
  });

  it('does not wait for a WebSocket client that takes no notice', async () => {
    const gateway = await startGateway({ SHUTDOWN_GRACE_MS: '200' });
    const { hostname, port } = new URL(gateway.url);
    const client = connect({ host: hostname, port: Number(port) });
    client.write(
      `GET /graphql HTTP/1.1\r\nHost: ${hostname}:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n' +
        'Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n',
    );
    const [answer] = await once(client, 'data');
    expect(String(answer)).toContain('101 Switching Protocols');
    // it never answers the closing frame
    const cut = once(client, 'close');
    await gateway.stop();
    await cut;
  });

  it('may be asked for twice', async () => {
    const gateway = await startGateway();
    await gateway.http.stop();
    await gateway.stop();
  });
});
