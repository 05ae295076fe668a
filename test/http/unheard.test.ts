import { once } from 'node:events';
import { createServer, get } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { UnheardConnections } from '../../src/http/unheard.ts';
import { eventually } from '../support/eventually.ts';
import { startGateway } from '../support/gateway.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

async function listening() {
  const server = createServer((_request, response) => void response.end('ok'));
  const unheard = new UnheardConnections(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { server, unheard, port: (server.address() as AddressInfo).port };
}

it('a connection is heard once its request begins, and is not waited for when it says nothing', async () => {
  const { server, unheard, port } = await listening();
  const clock = new VirtualClock();
  const client = connect(port, '127.0.0.1');
  await once(server, 'connection');
  let heard = false;
  const first = unheard.heard(clock).then(() => {
    heard = true;
  });
  await clock.advance(100);
  expect(heard).toBe(false);
  await clock.advance(200);
  await first;
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await once(client, 'data');
  await unheard.heard(clock);
  client.destroy();
});

it('finds the moment when nobody waits to be accepted', async () => {
  const { unheard, port } = await listening();
  const answers: (number | undefined)[] = [];
  for (let n = 0; n < 20; n += 1) {
    get({ port, host: '127.0.0.1', agent: false }, (response) => {
      answers.push(response.statusCode);
      response.resume();
    });
  }
  await unheard.nobodyWaits(new VirtualClock());
  await eventually(() => answers.length === 20);
});

it('who has connected when the gateway stops is still heard and answered', async () => {
  const gateway = await startGateway();
  const { hostname, port } = new URL(gateway.url);
  const client = connect(Number(port), hostname);
  await once(client, 'connect');
  // the gateway has it too, once it has answered somebody who came later
  await fetch(`${gateway.url}/live`);
  const stopped = gateway.http.stop();
  client.write(`GET /live HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`);
  const [answer] = await once(client, 'data');
  expect(String(answer)).toMatch(/^HTTP\/1\.1 200 OK\r\n.*connection: close/is);
  await stopped;
  await gateway.stop();
});
