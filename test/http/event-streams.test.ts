import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { EventStreams } from '../../src/http/event-streams.ts';
import { eventually } from '../support/eventually.ts';

it('a subscription whose client left before it was let in takes up no place', async () => {
  const responses: ServerResponse[] = [];
  const server = createServer((_request, response) => void responses.push(response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const response = await eventually(() => responses[0]);
  client.destroy();
  await eventually(() => response.closed);
  const streams = new EventStreams(1);
  expect(streams.admit(response)).toBe(false);
  expect(streams.size).toBe(0);
});
