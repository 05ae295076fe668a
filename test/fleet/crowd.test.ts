import { createServer as createHttpServer } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ComfyHttp } from '../../src/comfyui/http.ts';
import type { HttpFailure } from '../../src/comfyui/http-failure.ts';
import { ComfySocket } from '../../src/comfyui/socket.ts';
import { Prober } from '../../src/fleet/prober.ts';
import { Gate } from '../../src/lib/gate.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { startSocketServer } from '../comfyui/socket-server.ts';
import { eventually } from '../support/eventually.ts';
import { flush, VirtualClock } from '../support/virtual-clock.ts';
import { healthOf, simulator, startFleet, tempStore } from './fleet-rig.ts';

const logger = createLogger('silent');
const refused: HttpFailure = { ok: false, reason: 'refused', message: 'ECONNREFUSED' };
const HOUR_MS = 3_600_000;

const PRODUCTION = { probeIntervalMs: 5000, probeTimeoutMs: 3000 };

/** Answers probes and refuses sockets while it lives; cuts every connection while it does not. */
async function mortalServer() {
  let [alive, dials] = [true, 0];
  const server = createHttpServer((request, response) => {
    if (!alive) return void request.destroy();
    const body = request.url === '/prompt' ? { exec_info: { queue_remaining: 0 } } : {};
    response.end(JSON.stringify(body));
  });
  server.on('upgrade', (_request, socket) => {
    dials++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    dials: () => dials,
    die: () => {
      alive = false;
    },
    live: () => {
      alive = true;
    },
  };
}

/** A server that takes connections and never answers; with the connections it ever took. */
async function silentServer(): Promise<{
  url: string;
  taken: Set<Socket>;
  open: () => number;
  server: Server;
}> {
  const taken = new Set<Socket>();
  const server = createServer((socket) => {
    taken.add(socket);
    socket.on('error', () => undefined);
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of taken) socket.destroy();
    server.close();
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    taken,
    open: () => [...taken].filter((socket) => !socket.closed).length,
    server,
  };
}

describe('an instance that is away for an hour (F29)', () => {
  it('is dialed at most 300 times, and found again when it is back, with no timer left over', async () => {
    const clock = new VirtualClock();
    const instance = await mortalServer();
    const fleet = await startFleet(await tempStore(), [instance.url], { clock, config: PRODUCTION });
    await eventually(() => fleet.instances()[0]?.answering);
    await eventually(() => instance.dials() === 1);
    const timers = clock.pending;
    instance.die();
    for (let step = 0; step < HOUR_MS / 5000; step++) {
      const seen = clock.pending;
      await clock.advance(5000);
      await eventually(() => clock.pending >= Math.min(seen, 1));
      expect(clock.pending).toBeLessThanOrEqual(timers + 3);
    }
    expect(instance.dials()).toBeLessThanOrEqual(300);
    const before = instance.dials();
    instance.live();
    // the next dial may be 15 s away, and one of before may still have to fail
    await eventually(async () => {
      await clock.advance(1000);
      return fleet.instances()[0]?.answering && instance.dials() > before;
    });
    await fleet.stop();
    expect(clock.pending).toBe(0);
  });

  it('is asked no more often than it would be if it answered, with one timer', async () => {
    const clock = new VirtualClock();
    let asked = 0;
    const http: Pick<ComfyHttp, 'getPromptCount'> = {
      getPromptCount: async () => {
        asked++;
        return refused;
      },
    };
    const prober = new Prober({
      http: http as ComfyHttp,
      clock,
      random: Math.random,
      logger,
      lists: new Gate(1),
      intervalMs: 5000,
      timeoutMs: 3000,
      unhealthyAfterMisses: 3,
      inventoryRefreshMs: 600_000,
      doubt: () => null,
      onProbe: async () => undefined,
      onInventory: async () => undefined,
    });
    await prober.start();
    await flush();
    await clock.advance(HOUR_MS);
    expect(asked).toBeLessThanOrEqual(HOUR_MS / 5000 + 40);
    expect(asked).toBeGreaterThan(600);
    expect(clock.pending).toBe(1);
    await prober.stop();
    expect(clock.pending).toBe(0);
  });
});

describe('a crowd of instances (F29, F44)', () => {
  it('is dialed five at a time, and every one gets its turn', async () => {
    const silent = await silentServer();
    const server = await startSocketServer();
    onTestFinished(() => server.stop());
    const dials = new Gate(5);
    const sockets = Array.from(
      { length: 12 },
      (_, index) =>
        new ComfySocket({
          url: index < 8 ? silent.url : server.url,
          clientId: () => `socket ${index}`,
          clock: new VirtualClock(),
          random: Math.random,
          logger,
          dials,
          tuning: { handshakeTimeoutMs: 200 },
          onMessage: () => undefined,
        }),
    );
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, sockets.filter((socket) => socket.state === 'connecting').length);
    }, 5);
    await Promise.all(sockets.map((socket) => socket.start()));
    await eventually(() => sockets.slice(8).every((socket) => socket.state === 'open'));
    clearInterval(watch);
    await Promise.all(sockets.map((socket) => socket.stop()));
    expect(most).toBe(5);
    expect(dials.isFull).toBe(false);
  });

  it('is asked for its lists a few at a time when it comes back together', async () => {
    const clock = new VirtualClock();
    const lists = new Gate(4);
    let [asking, most, answered] = [0, 0, 0];
    const http: Pick<ComfyHttp, 'getPromptCount' | 'getSystemStats' | 'getObjectInfo' | 'getEmbeddings'> = {
      getPromptCount: async () => ({ ok: true, value: 0 }),
      getEmbeddings: async () => ({ ok: true, value: [] }),
      getSystemStats: async () => refused,
      getObjectInfo: async () => {
        most = Math.max(most, ++asking);
        await new Promise<void>((resolve) => clock.after(100, resolve));
        asking--;
        answered++;
        return { ok: true, value: { inventory: { nodeTypes: [], models: [] }, uploadInputs: [] } };
      },
    };
    const probers = Array.from(
      { length: 20 },
      () =>
        new Prober({
          http: http as ComfyHttp,
          clock,
          random: Math.random,
          logger,
          lists,
          intervalMs: 5000,
          timeoutMs: 3000,
          unhealthyAfterMisses: 3,
          inventoryRefreshMs: 600_000,
          doubt: () => null,
          onProbe: async () => undefined,
          onInventory: async () => undefined,
        }),
    );
    await Promise.all(probers.map((prober) => prober.start()));
    await clock.advance(4000);
    expect(answered).toBe(20);
    expect(most).toBe(4);
    await Promise.all(probers.map((prober) => prober.stop()));
  });
});

describe('a server that accepts connections and never answers (F26)', () => {
  it('is asked once, however often somebody wants to know', async () => {
    const silent = await silentServer();
    const config = { probeTimeoutMs: 60_000 };
    const fleet = await startFleet(await tempStore(), [silent.url], { config });
    await eventually(() => silent.taken.size === 1);
    for (let n = 0; n < 100; n++) fleet.members()[0]?.probeSoon();
    expect(fleet.members()[0]?.state().answering).toBe(false);
    await fleet.stop();
    // none was put off until later either
    expect(silent.taken.size).toBe(1);
  });

  it('is found out within the deadline of a probe, holds nothing up, and is left with no connection', async () => {
    const silent = await silentServer();
    const temp = await tempStore();
    const one = await simulator();
    const fleet = await startFleet(temp, [silent.url, one.url]);
    await eventually(() => fleet.instances()[1]?.instance.health === 'HEALTHY');
    await eventually(() => healthOf(fleet) === 'UNHEALTHY');
    expect(fleet.instances()[0]?.instance.lastError).toBe('no answer in time');
    await fleet.stop();
    await eventually(() => silent.open() === 0);
  });
});
