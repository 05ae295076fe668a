/** Thousands come back at once after a restart: let in by and by, and answered from one reading. */
import { createClient } from 'graphql-ws';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { globalId } from '../../src/graphql/global-id.ts';
import { BareSocket, subscribe } from '../support/bare-socket.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

let gateway: TestGateway;
afterEach(() => gateway.stop());

const WATCH = 'subscription ($id: ID!) { job(id: $id) { id status outputs { id } } }';

describe('subscribers that come back all at once (F40)', () => {
  it('who are too many are sent away, and get in when they try again', async () => {
    gateway = await startGateway({}, { limits: { connectsPerSecond: 10 } });
    const { id } = await gateway.addJob();
    const closed = new Set<number>();
    let seen = 0;
    const clients = Array.from({ length: 40 }, () =>
      createClient({
        url: gateway.socketUrl,
        webSocketImpl: WebSocket,
        retryAttempts: 10_000,
        // what its exponential back-off does, in less time
        retryWait: () => new Promise((resolve) => setTimeout(resolve, 20)),
        on: { closed: (event) => closed.add((event as { code: number }).code) },
      }),
    );
    await Promise.all(
      clients.map(
        (client) =>
          new Promise<void>((resolve, reject) => {
            client.subscribe(
              { query: WATCH, variables: { id: globalId('Job', id) } },
              {
                next: () => {
                  seen += 1;
                  resolve();
                },
                error: reject,
                complete: () => undefined,
              },
            );
          }),
      ),
    );
    expect(seen).toBe(40);
    expect([...closed]).toEqual([1013]);
    await Promise.all(clients.map((client) => client.dispose()));
  }, 30_000);

  it('cost one reading of a job for all, not one for each', async () => {
    gateway = await startGateway({ LOG_LEVEL: 'silent' });
    const { id: jobId } = await gateway.addJob();
    const id = globalId('Job', jobId);
    const sockets = await Promise.all(
      Array.from({ length: 12 }, () => new BareSocket(gateway.socketUrl).open()),
    );
    let statements = 0;
    const stop = gateway.store.onQuery(() => {
      statements += 1;
    });
    for (const socket of sockets) {
      for (let n = 0; n < 50; n++) socket.send(subscribe(`s${n}`, WATCH, { id }));
    }
    await Promise.all(
      sockets.map((socket) => socket.untilAll((messages) => messages.filter(({ id }) => id).length >= 50)),
    );
    stop();
    for (const { messages } of sockets) {
      const answers = messages.filter(({ id }) => id);
      expect(answers).toHaveLength(50);
      for (const { payload } of answers)
        expect(payload).toMatchObject({ data: { job: { id, status: 'PENDING' } } });
    }
    // three readings for each of 600 would be 1,800
    expect(statements).toBeLessThan(300);
    for (const { socket } of sockets) socket.terminate();
  }, 30_000);

  it('are no more than there is room for', async () => {
    gateway = await startGateway({}, { limits: { maxSockets: 1 } });
    const first = await new BareSocket(gateway.socketUrl).open();
    const late = new BareSocket(gateway.socketUrl);
    expect(await late.closed).toBe(1013);
    first.socket.close();
    await first.closed;
  });
});
