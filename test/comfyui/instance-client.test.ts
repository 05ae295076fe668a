import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { createLogger } from '../../src/lib/logger.ts';
import { eventually } from '../support/eventually.ts';
import { InstanceClient } from '../support/instance-client.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { sendJson } from './http-server.ts';

const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** HTTP and WebSocket on one port, as ComfyUI has them. */
async function serve(): Promise<{ url: string; sockets: WebSocketServer }> {
  const answers: Record<string, unknown> = {
    '/queue': { queue_running: [], queue_pending: [] },
    '/history/p': {},
  };
  const server = createServer((request, response) => {
    request.resume();
    sendJson(response, 200, request.method === 'POST' ? '' : answers[request.url ?? '']);
  });
  const sockets = new WebSocketServer({ server });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(async () => {
    for (const client of sockets.clients) client.terminate();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets };
}

describe('InstanceClient', () => {
  it('speaks HTTP and WebSocket to one instance and leaves nothing behind when it stops', async () => {
    const { url, sockets } = await serve();
    const clock = new VirtualClock();
    const opened: string[] = [];
    const client = new InstanceClient({
      url,
      clock,
      random: () => 0,
      logger: createLogger('silent'),
      socket: { clientId: () => 'me', onMessage: () => undefined, onOpen: (id) => opened.push(id) },
    });
    await client.start();
    await eventually(() => opened.length === 1);
    expect(await client.http.getQueue({ deadlineMs: 5000 })).toMatchObject({ ok: true });
    expect(await client.cancel({ promptId: 'p', withinMs: 1000 })).toBe('removed');

    await client.stop();
    await eventually(() => sockets.clients.size === 0);
    expect(client.socket.state).toBe('stopped');
    expect(clock.pending).toBe(0);
    expect(await client.http.getQueue({ deadlineMs: 5000 })).toMatchObject({ ok: false, reason: 'aborted' });
  });
});
