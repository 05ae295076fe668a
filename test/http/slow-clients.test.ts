/** Clients that read slowly or not at all, among those that do: bounded, sent away so that they come back, and harmless. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { defaultViewer } from '../../src/domain/viewer.ts';
import { globalId } from '../../src/graphql/global-id.ts';
import type { ConnectionLimits } from '../../src/http/limits.ts';
import { BareSocket, subscribe } from '../support/bare-socket.ts';
import { eventually } from '../support/eventually.ts';
import { startGateway, TERM, type TestGateway } from '../support/gateway.ts';

const WATCH = 'subscription ($id: ID!) { job(id: $id) { id status inputs progress { id fraction } } }';
/** So large that a few of them fill what the system buffers. */
const BULKY = { inputs: { text: 'x'.repeat(200_000) } };

let gateway: TestGateway;
afterEach(() => gateway.stop());

async function start(limits: Partial<ConnectionLimits> = {}): Promise<void> {
  gateway = await startGateway({ LOG_LEVEL: 'info' }, { limits });
}

async function runningJob(): Promise<{ jobId: string; attempt: string; id: string }> {
  const instance = await gateway.addInstance('gpu');
  const { id: jobId } = await gateway.addJob(BULKY);
  const attempt = await gateway.assign(jobId, instance);
  return { jobId, attempt, id: globalId('Job', jobId) };
}

function progress(jobId: string, fraction: number): void {
  const value = { fraction, node: '2', nodeType: 'SaveImage', step: 1, totalSteps: 4, remainingMs: 10 };
  const change = { type: 'progress', progress: value } as const;
  const { tenant } = defaultViewer;
  gateway.bus.publish({ kind: 'job', jobId, tenant, seq: 2, at: Date.now(), change });
}

/** Progress, until the test has seen enough. */
async function progressUntil(jobId: string, enough: () => boolean): Promise<number> {
  let sent = 0;
  await eventually(
    () => {
      for (let n = 0; n < 5; n++) progress(jobId, Math.min(0.99, ++sent / 10_000));
      return enough();
    },
    { what: 'enough progress', withinMs: 20_000 },
  );
  return sent;
}

const open = (options = {}): Promise<BareSocket> => new BareSocket(gateway.socketUrl, options).open();
const disconnected = () => gateway.logs.filter(({ msg }) => msg === 'a slow client is disconnected');

describe('a subscriber that stops reading (F39)', () => {
  it('finds the newest progress and the end when it reads again, not all it missed', async () => {
    await start();
    const { jobId, attempt, id } = await runningJob();
    const fast = await open();
    fast.send(subscribe('job', WATCH, { id }));
    const slow = await open();
    slow.send(subscribe('job', WATCH, { id }));
    await slow.until((message) => message.id === 'job');
    slow.socket.pause();
    const sent = await progressUntil(jobId, () => fast.messages.length > 150);
    await gateway.recorder.collecting(attempt, TERM);
    await gateway.recorder.complete(attempt, TERM, 5);
    await fast.until(({ type }) => type === 'complete');
    slow.socket.resume();
    await slow.until(({ type }) => type === 'complete');
    const statuses = slow.messages.map(
      ({ payload }) => JSON.stringify(payload)?.match(/"status":"(\w+)"/)?.[1],
    );
    expect(statuses.filter((status) => status === 'COMPLETED')).toHaveLength(1);
    expect(slow.messages.length).toBeLessThan(Math.min(sent, fast.messages.length));
    for (const each of [slow, fast]) each.socket.terminate();
  }, 30_000);

  it('is sent away after its time so that it comes back, and what it had subscribed to ends', async () => {
    await start({ stallMs: 300 });
    const { jobId, id } = await runningJob();
    const slow = await open();
    slow.send(subscribe('job', WATCH, { id }));
    await slow.until((message) => message.id === 'job');
    slow.socket.pause();
    await progressUntil(jobId, () => disconnected().length > 0);
    await eventually(() => gateway.bus.topicCount === 0, { what: 'the end of its subscription' });
    expect(disconnected()).toMatchObject([{ reason: 'it does not read' }]);
    slow.socket.resume();
    // the closing frame when it got through, else a broken connection: after either, clients connect again
    expect([1013, 1006]).toContain(await slow.closed);
  }, 30_000);

  it('loses its event stream too', async () => {
    await start({ stallMs: 300 });
    const { jobId, id } = await runningJob();
    const slow = await postStream({ query: WATCH, variables: { id } });
    await once(slow, 'data');
    slow.pause();
    expect(gateway.bus.topicCount).toBeGreaterThan(0);
    await progressUntil(jobId, () => gateway.bus.topicCount === 0);
    slow.destroy();
  }, 30_000);
});

describe('a client that asks and never reads (F39)', () => {
  it('is not listened to any more while too much waits for it, then sent away', async () => {
    await start({ highWaterBytes: 500_000, stallMs: 300 });
    const flood = await open();
    flood.socket.pause();
    const payload = { text: 'x'.repeat(400_000) };
    await eventually(() => {
      if (flood.socket.bufferedAmount < 2_000_000) flood.send({ type: 'ping', payload });
      return disconnected().length > 0;
    });
    const [line] = disconnected();
    expect(line).toMatchObject({ reason: 'it does not read' });
    // the bound and one answer; the message that was being read
    expect(line?.unsentBytes).toBeLessThan(500_000 + 2 * 410_000);
    flood.socket.resume();
    expect([1013, 1006]).toContain(await flood.closed);
  }, 30_000);

  it('is sent away at once when answers that it asked for at once are too large together', async () => {
    await start({ maxUnsentBytes: 4_000_000 });
    for (let n = 0; n < 30; n++) await gateway.addJob(BULKY);
    const greedy = await open();
    greedy.socket.pause();
    for (let n = 0; n < 20; n++)
      greedy.send(subscribe(`q${n}`, '{ jobs(first: 100) { nodes { id inputs } } }'));
    await eventually(() => disconnected().length > 0, { what: 'the end' });
    const [line] = disconnected();
    expect(line).toMatchObject({ reason: 'too much waits to be sent' });
    // one of the answers, of 20 asked for
    expect(line?.unsentBytes).toBeLessThan(2 * 30 * 201_000);
    greedy.socket.resume();
    expect([1013, 1006]).toContain(await greedy.closed);
  }, 30_000);

  it('loses its connection in the middle of an answer over HTTP', async () => {
    await start({ stallMs: 300 });
    for (let n = 0; n < 60; n++) await gateway.addJob(BULKY);
    const slow = await postStream(
      { query: '{ jobs(first: 100) { nodes { id inputs } } }' },
      'application/json',
    );
    await once(slow, 'data');
    slow.pause();
    await eventually(() => disconnected().length > 0, { what: 'the cut' });
    let bytes = 0;
    slow.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    slow.resume();
    await once(slow, 'close');
    expect(bytes).toBeLessThan(12_000_000);
  }, 30_000);
});

describe('a client that is not there any more (F39)', () => {
  it('is noticed by its silence', async () => {
    await start({ stallMs: 150, pingMs: 40 });
    const { id } = await runningJob();
    const gone = await open({ autoPong: false });
    const there = await open();
    for (const each of [gone, there]) {
      each.send(subscribe('job', WATCH, { id }));
      await each.until((message) => message.id === 'job');
    }
    expect(await gone.closed).toBe(1013);
    expect(disconnected()).toMatchObject([{ reason: 'it does not answer' }]);
    there.send(subscribe('still', '{ __typename }'));
    await there.until((message) => message.id === 'still');
    there.socket.terminate();
  });
});

describe('subscriptions over HTTP', () => {
  it('are so many at once and no more; who comes too late is told to try again', async () => {
    await start({ maxStreams: 2 });
    const { id } = await runningJob();
    const body = { query: WATCH, variables: { id } };
    const first = [await postStream(body), await postStream(body)];
    for (const each of first) expect(String((await once(each, 'data'))[0])).toContain('200 OK');
    const late = await postStream(body);
    expect(String((await once(late, 'data'))[0])).toContain('503');
    first[0]?.destroy();
    await eventually(async () => {
      const again = await postStream(body);
      const [answer] = await once(again, 'data');
      again.destroy();
      return String(answer).includes('200 OK');
    });
    for (const each of [...first, late]) each.destroy();
  });
});

/** The bare connection of a POST, to be read or not. */
async function postStream(body: object, accept = 'text/event-stream'): Promise<Socket> {
  const { hostname, port } = new URL(gateway.url);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  const text = JSON.stringify(body);
  socket.write(
    `POST /graphql HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAccept: ${accept}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
  return socket;
}
