import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from './eventually.ts';
import { TcpChaos } from './tcp-chaos.ts';
import { slices } from './tcp-chaos-toxics.ts';

/** Answers what it hears. */
let echo: Server;
let heard: Socket[];
let proxy: TcpChaos;
let clients: Socket[];

beforeEach(async () => {
  heard = [];
  clients = [];
  echo = createServer((socket) => {
    heard.push(socket);
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  proxy = await TcpChaos.to((echo.address() as AddressInfo).port);
});

afterEach(async () => {
  for (const client of clients) client.destroy();
  await proxy.close();
  expect(proxy.open).toBe(0);
  for (const socket of heard) socket.destroy();
  await new Promise((resolve) => echo.close(resolve));
});

interface Client {
  readonly socket: Socket;
  readonly chunks: Buffer[];
  text(): string;
  ended(): 'no' | 'in order' | 'reset';
}

async function dial(): Promise<Client> {
  const socket = connect(proxy.port, '127.0.0.1');
  clients.push(socket);
  const chunks: Buffer[] = [];
  let ended: 'no' | 'in order' | 'reset' = 'no';
  socket.on('data', (bytes) => chunks.push(bytes));
  socket.on('end', () => (ended = 'in order'));
  socket.on('error', () => (ended = 'reset'));
  await once(socket, 'connect');
  return { socket, chunks, text: () => Buffer.concat(chunks).toString(), ended: () => ended };
}

describe('a network that behaves badly', () => {
  it('without toxics lets everything through, in both directions, to the end', async () => {
    const client = await dial();
    const much = 'x'.repeat(3_000_000);
    client.socket.end(much);
    await eventually(() => client.ended() === 'in order');
    expect(client.text().length).toBe(much.length);
  });

  it('latency delays a chunk and keeps the order', async () => {
    proxy.add('downstream', { type: 'latency', latencyMs: 60, jitterMs: 20 });
    const client = await dial();
    const since = performance.now();
    client.socket.write('one ');
    client.socket.write('two');
    await eventually(() => client.text() === 'one two');
    expect(performance.now() - since).toBeGreaterThanOrEqual(55);
  });

  it('bandwidth lets so many bytes a second through; zero holds all until it is taken away', async () => {
    proxy.add('downstream', { type: 'bandwidth', bytesPerSecond: 10_000 });
    const client = await dial();
    const since = performance.now();
    client.socket.write('y'.repeat(1000));
    await eventually(() => client.text().length === 1000);
    expect(performance.now() - since).toBeGreaterThanOrEqual(90);
    proxy.clear();
    const frozen = proxy.add('upstream', { type: 'bandwidth', bytesPerSecond: 0 });
    client.socket.write('held');
    client.socket.write(' back');
    await eventually(() => heard[0]?.bytesRead === 1000);
    frozen.remove();
    await eventually(() => client.text().endsWith('held back'));
  });

  it('slow_close delays the end, not the bytes', async () => {
    proxy.add('downstream', { type: 'slow_close', delayMs: 80 });
    const client = await dial();
    client.socket.end('bye');
    await eventually(() => client.text() === 'bye');
    const since = performance.now();
    expect(client.ended()).toBe('no');
    await eventually(() => client.ended() === 'in order');
    expect(performance.now() - since).toBeGreaterThan(20);
  });

  it('timeout swallows what is sent and then closes', async () => {
    proxy.add('upstream', { type: 'timeout', timeoutMs: 50 });
    const client = await dial();
    client.socket.write('lost');
    await eventually(() => client.ended() !== 'no');
    expect(client.text()).toBe('');
  });

  it('a timeout of zero is a black hole until it is taken away', async () => {
    const hole = proxy.add('upstream', { type: 'timeout', timeoutMs: 0 });
    const client = await dial();
    client.socket.write('lost');
    proxy.add('downstream', { type: 'latency', latencyMs: 1 });
    await eventually(() => heard.length === 1);
    expect(heard[0]?.bytesRead).toBe(0);
    expect(client.ended()).toBe('no');
    hole.remove();
    await eventually(() => client.ended() !== 'no');
    expect(client.text()).toBe('');
  });

  it('reset_peer resets the connection', async () => {
    proxy.add('upstream', { type: 'reset_peer', afterMs: 10 });
    const client = await dial();
    client.socket.write('hello');
    await eventually(() => client.ended() === 'reset');
  });

  it('slicer cuts chunks up without losing a byte, and works together with others', async () => {
    proxy.add('downstream', { type: 'slicer', averageSize: 10, sizeVariation: 5, delayMs: 2 });
    proxy.add('downstream', { type: 'limit_data', bytes: 95 });
    const client = await dial();
    client.socket.write('z'.repeat(200));
    await eventually(() => client.ended() !== 'no');
    expect(client.text()).toBe('z'.repeat(95));
    expect(client.chunks.length).toBeGreaterThan(3);
    expect(slices(37, { type: 'slicer', averageSize: 10 }, () => 0.9)).toEqual([10, 10, 10, 7]);
  });

  it('limit_data closes after so many bytes of each connection', async () => {
    proxy.add('downstream', { type: 'limit_data', bytes: 7 });
    for (let round = 0; round < 2; round++) {
      const client = await dial();
      client.socket.write('0123456789');
      await eventually(() => client.ended() !== 'no');
      expect(client.text()).toBe('0123456');
    }
  });

  it('a limit added to an open connection counts from there', async () => {
    const client = await dial();
    client.socket.write('before ');
    await eventually(() => client.text() === 'before ');
    proxy.add('downstream', { type: 'limit_data', bytes: 3 });
    client.socket.write('after');
    await eventually(() => client.ended() !== 'no');
    expect(client.text()).toBe('before aft');
  });

  it('down cuts and refuses; up takes connections at the same address again', async () => {
    const client = await dial();
    client.socket.write('a');
    await eventually(() => client.text() === 'a');
    await proxy.down();
    await eventually(() => client.ended() !== 'no');
    await expect(dial()).rejects.toThrow(/ECONNREFUSED/);
    await proxy.up();
    const again = await dial();
    again.socket.write('b');
    await eventually(() => again.text() === 'b');
    expect(proxy.accepted).toBe(2);
  });

  it('what is being closed in order can still be cut', async () => {
    const client = await dial();
    client.socket.write('a');
    await eventually(() => client.text() === 'a');
    proxy.cut('close');
    proxy.cut('reset');
    await eventually(() => proxy.open === 0);
  });

  it('a peer that is not there breaks the connection off', async () => {
    for (const socket of heard) socket.destroy();
    await new Promise((resolve) => echo.close(resolve));
    const client = await dial();
    await eventually(() => client.ended() !== 'no');
    echo.listen(0, '127.0.0.1');
    await once(echo, 'listening');
  });
});
