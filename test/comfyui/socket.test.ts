import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { ComfyMessage } from '../../src/comfyui/messages.ts';
import { ComfySocket } from '../../src/comfyui/socket.ts';
import type { ComfySocketOptions, SocketClose } from '../../src/comfyui/socket-options.ts';
import { socketUrl } from '../../src/comfyui/socket-url.ts';
import { Login } from '../../src/lib/address.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { eventually } from '../support/eventually.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { frameBytes, frameText, recording } from './recordings.ts';
import { type ServedConnection, type SocketServer, startSocketServer } from './socket-server.ts';

const STATUS = '{"type":"status","data":{"status":{"exec_info":{"queue_remaining":0}},"sid":"x"}}';
const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function serve(...args: Parameters<typeof startSocketServer>): Promise<SocketServer> {
  const server = await startSocketServer(...args);
  ends.push(() => server.stop());
  return server;
}

interface Rig {
  readonly socket: ComfySocket;
  readonly clock: VirtualClock;
  readonly messages: ComfyMessage[];
  readonly opened: string[];
  readonly closes: SocketClose[];
}

/** A started socket on a clock of its own; with `random` 0 it reconnects as soon as the clock is moved. */
async function open(url: string, options: Partial<ComfySocketOptions> = {}): Promise<Rig> {
  const clock = new VirtualClock();
  const messages: ComfyMessage[] = [];
  const opened: string[] = [];
  const closes: SocketClose[] = [];
  const socket = new ComfySocket({
    url,
    clientId: () => 'me',
    clock,
    random: () => 0,
    logger: createLogger('silent'),
    onMessage: (message) => messages.push(message),
    onOpen: (clientId) => opened.push(clientId),
    onClose: (close) => closes.push(close),
    ...options,
  });
  await socket.start();
  ends.push(() => socket.stop());
  return { socket, clock, messages, opened, closes };
}

/** The connection that was opened as number `index`, once it has heard the feature flags. */
function connection(server: SocketServer, index = 0): Promise<ServedConnection> {
  return eventually(() => server.connections[index]?.heard[0] !== undefined && server.connections[index], {
    what: `connection ${index}`,
  });
}

describe('a connection', () => {
  it('sends a login with its handshake, as it was before it was written into a URL', async () => {
    const server = await serve();
    await open(server.url, { login: new Login('ann%40x:p%3A%2F%C3%BC') });
    const { request } = await connection(server);
    expect(request.url).toBe('/ws?clientId=me');
    expect(request.headers.authorization).toBe(`Basic ${Buffer.from('ann@x:p:/ü').toString('base64')}`);
  });

  it('asks for nothing more where there is no login', async () => {
    const server = await serve();
    await open(server.url);
    expect((await connection(server)).request.headers).not.toHaveProperty('authorization');
  });

  it('announces preview metadata before anything else, without an Origin and without compression', async () => {
    const server = await serve();
    const { socket, opened } = await open(server.url);
    const served = await connection(server);
    expect(JSON.parse(served.heard[0] ?? '')).toEqual({
      type: 'feature_flags',
      data: { supports_preview_metadata: true },
    });
    expect(served.clientId).toBe('me');
    expect(served.request.url).toBe('/ws?clientId=me');
    expect(served.request.headers).not.toHaveProperty('origin');
    expect(served.request.headers).not.toHaveProperty('sec-websocket-extensions');
    expect(opened).toEqual(['me']);
    expect(socket).toMatchObject({ state: 'open', clientId: 'me' });
  });

  it('hands on a recorded run in its order, pictures included', async () => {
    const { ws } = recording('txt2img_previews_metadata');
    const frames = ws.filter((frame) => frame.type === 'text' || frame.type === 'binary');
    const server = await serve(({ socket }) => {
      for (const frame of frames)
        socket.send(frame.type === 'text' ? (frameText(frame) ?? '') : frameBytes(frame));
    });
    const { messages } = await open(server.url);
    await eventually(() => messages.length === frames.length);
    expect(messages.map((message) => message.kind === 'preview')).toEqual(
      frames.map((frame) => frame.type === 'binary'),
    );
    expect(messages.at(-1)).toMatchObject({ kind: 'executing', node: null });
  });

  it('survives what it cannot read', async () => {
    const server = await serve(({ socket }) => {
      socket.send('not json');
      socket.send(Buffer.from([0, 0, 0, 4, 255]));
      socket.send('{"type":"of a custom node"}');
      socket.send(STATUS);
    });
    const { messages, socket } = await open(server.url);
    await eventually(() => messages.length === 4);
    expect(messages.map((message) => message.kind)).toEqual(['malformed', 'malformed', 'unknown', 'status']);
    expect(socket.state).toBe('open');
  });

  it('survives a handler that throws', async () => {
    const heard: string[] = [];
    const server = await serve(({ socket }) => {
      socket.send(STATUS);
      socket.send('{"type":"second"}');
    });
    const { socket } = await open(server.url, {
      onMessage: (message) => {
        heard.push(message.kind);
        throw new Error('a bug of the owner');
      },
    });
    await eventually(() => heard.length === 2);
    expect(socket.state).toBe('open');
  });

  it('takes a message as large as those that results come in', async () => {
    const text = 'y'.repeat(6_000_000);
    const server = await serve(({ socket }) => {
      socket.send(
        JSON.stringify({ type: 'executed', data: { node: '1', output: { text: [text] }, prompt_id: 'p' } }),
      );
    });
    const { messages } = await open(server.url);
    await eventually(() => messages.length === 1);
    expect(messages[0]).toMatchObject({ kind: 'executed', output: { text: [text] } });
  });

  it('ends at a message over its limit, and comes back', async () => {
    const server = await serve(({ socket }) => socket.send('y'.repeat(2000)));
    const { closes, clock } = await open(server.url, { tuning: { maxPayloadBytes: 1000 } });
    await eventually(() => closes.length === 1);
    expect(closes[0]).toMatchObject({ wasOpen: true, reason: 'lost' });
    await clock.advance(0);
    await connection(server, 1);
  });

  it('knows when it last heard a status, for the owner to see that it is deaf', async () => {
    const server = await serve();
    const { socket, clock, messages } = await open(server.url);
    const served = await connection(server);
    expect(socket.lastStatusAt).toBeNull();
    await clock.advance(1500);
    served.socket.send(STATUS);
    await eventually(() => messages.length === 1);
    expect(socket.lastStatusAt).toBe(1500);
  });
});

describe('pings', () => {
  it('are sent by us, and their answers keep the connection', async () => {
    const server = await serve();
    const { clock, closes, messages } = await open(server.url);
    const served = await connection(server);
    for (let beat = 1; beat <= 4; beat++) {
      await clock.advance(10_000);
      await eventually(() => served.heard.filter((word) => word === 'ping').length === beat);
      // a message behind the pong proves that the pong has arrived
      served.socket.send(STATUS);
      await eventually(() => messages.length === beat);
    }
    expect(closes).toEqual([]);
  });

  it('find a connection dead after two without an answer (F26)', async () => {
    const server = await serve(undefined, { answerPings: false });
    const { clock, closes } = await open(server.url);
    const served = await connection(server);
    await clock.advance(20_000);
    await eventually(() => served.heard.filter((word) => word === 'ping').length === 2);
    expect(closes).toEqual([]);
    await clock.advance(10_000);
    await eventually(() => closes.length === 1);
    expect(closes[0]).toMatchObject({ reason: 'dead', code: 1006 });
  });
});

describe('reconnecting', () => {
  it('asks for a client id again, sends the flags again and forgets the old status', async () => {
    const server = await serve(({ socket }) => socket.send(STATUS));
    const ids = ['first', 'second'];
    const rig = await open(server.url, { clientId: () => ids.shift() ?? 'none left' });
    await eventually(() => rig.messages.length === 1);
    server.connections[0]?.socket.terminate();
    await eventually(() => rig.closes.length === 1);
    expect(rig.closes[0]).toMatchObject({ clientId: 'first', reason: 'lost', code: 1006, wasOpen: true });
    expect(rig.socket).toMatchObject({ state: 'waiting', clientId: null, lastStatusAt: null });
    await rig.clock.advance(0);
    expect((await connection(server, 1)).clientId).toBe('second');
    expect(rig.opened).toEqual(['first', 'second']);
  });

  it('gives up a dial that is answered byte by byte, and dials again (F26)', async () => {
    const dripping = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write('HTTP/1.1 101 Switching Protocols\r\nx-slow: ');
      const drip = setInterval(() => socket.write('x'), 10);
      socket.on('close', () => clearInterval(drip));
    });
    await new Promise<void>((resolve) => dripping.listen(0, '127.0.0.1', resolve));
    ends.push(() => new Promise((resolve) => dripping.close(() => resolve())));
    const address = dripping.address();
    const { socket, clock, closes } = await open(
      `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`,
    );
    expect(socket.state).toBe('connecting');
    await clock.advance(5000);
    await eventually(() => closes.length === 1);
    expect(closes[0]).toMatchObject({ wasOpen: false, message: 'no handshake in time' });
    await clock.advance(0);
    expect(socket.state).toBe('connecting');
  });

  it('waits longer after each failure, up to a limit', async () => {
    const refusing = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', resolve));
    ends.push(() => new Promise((resolve) => refusing.close(() => resolve())));
    const address = refusing.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const rig = await open(`http://127.0.0.1:${port}`, { random: () => 0.999_999 });
    for (const ceiling of [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000]) {
      await eventually(() => rig.socket.state === 'waiting');
      const tries = rig.closes.length;
      await rig.clock.advance(ceiling - 2);
      expect(rig.socket.state).toBe('waiting');
      await rig.clock.advance(2);
      await eventually(() => rig.closes.length === tries + 1);
    }
    expect(rig.closes.every((close) => !close.wasOpen && close.reason === 'lost')).toBe(true);
  });

  it('closes the old connection before it opens the next one when it is replaced (F14)', async () => {
    const order: string[] = [];
    const server = await serve(({ socket }) => {
      const number = order.filter((word) => word.startsWith('open')).length + 1;
      order.push(`open ${number}`);
      socket.on('close', () => order.push(`close ${number}`));
    });
    const rig = await open(server.url);
    await connection(server);
    rig.socket.replace();
    rig.socket.replace();
    await eventually(() => rig.closes.length === 1);
    expect(rig.closes[0]).toMatchObject({ reason: 'replaced', code: 1000 });
    await rig.clock.advance(0);
    await connection(server, 1);
    expect(order).toEqual(['open 1', 'close 1', 'open 2']);
  });

  it('cuts a connection that does not answer the close', async () => {
    let first = true;
    const server = await serve(({ socket }) => {
      if (first) socket.pause();
      first = false;
    });
    const rig = await open(server.url);
    await eventually(() => rig.opened.length === 1);
    rig.socket.replace();
    expect(rig.socket.state).toBe('closing');
    expect(rig.closes).toEqual([]);
    await rig.clock.advance(1000);
    await eventually(() => rig.closes.length === 1);
    expect(rig.closes[0]).toMatchObject({ reason: 'replaced', code: 1006 });
  });
});

describe('stopping', () => {
  it('closes politely, leaves no timer behind and opens nothing again', async () => {
    const server = await serve();
    const rig = await open(server.url);
    const served = await connection(server);
    await Promise.all([rig.socket.stop(), rig.socket.stop()]);
    await eventually(() => served.closed);
    expect(rig.closes).toEqual([expect.objectContaining({ reason: 'stopped', code: 1000 })]);
    expect(rig.socket.state).toBe('stopped');
    expect(rig.clock.pending).toBe(0);
    await rig.clock.advance(60_000);
    expect(server.connections).toHaveLength(1);
  });

  it('works while a connection is being opened', async () => {
    const silent = createServer((socket) => socket.on('error', () => undefined).resume());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    ends.push(() => new Promise((resolve) => silent.close(() => resolve())));
    const address = silent.address();
    const rig = await open(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`);
    expect(rig.socket.state).toBe('connecting');
    await rig.socket.stop();
    expect(rig.closes).toEqual([expect.objectContaining({ reason: 'stopped', wasOpen: false })]);
    expect(rig.clock.pending).toBe(0);
  });

  it('works while it waits, from its own close handler too, and can be started again', async () => {
    const server = await serve();
    let stopping: Promise<void> | undefined;
    const rig = await open(server.url, {
      onClose: () => {
        stopping ??= rig.socket.stop();
      },
    });
    (await connection(server)).socket.terminate();
    await eventually(() => stopping !== undefined);
    await stopping;
    expect(rig.socket.state).toBe('stopped');
    expect(rig.clock.pending).toBe(0);
    await rig.socket.start();
    await connection(server, 1);
    expect(rig.socket.state).toBe('open');
  });
});

describe('socketUrl', () => {
  it.each([
    ['http://gpu:8188', 'ws://gpu:8188/ws?clientId=a+b%26c'],
    ['https://gpu.example/comfy/', 'wss://gpu.example/comfy/ws?clientId=a+b%26c'],
  ])('of %s keeps host and path', (base, expected) => {
    expect(socketUrl(base, 'a b&c')).toBe(expected);
  });
});
