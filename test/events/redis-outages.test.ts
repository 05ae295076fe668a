/** What Redis may do to the bus, each with a server of the test's own: nothing crashes, and it recovers by itself. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { BusSignal, BusSubscription } from '../../src/events/bus.ts';
import type { RedisBus } from '../../src/events/redis-bus.ts';
import { jobTopic } from '../../src/events/topics.ts';
import { eventually } from '../support/eventually.ts';
import { RedisServer } from '../support/services/redis-server.ts';
import { durable, preview, progress } from './messages.ts';
import { Fleet } from './redis-rig.ts';

let server: RedisServer;
let admin: Redis;
let fleet: Fleet;
let bus: RedisBus;
let other: RedisBus;
const rejections: unknown[] = [];
const onRejection = (reason: unknown): void => void rejections.push(reason);

beforeAll(() => void process.on('unhandledRejection', onRejection));
afterAll(() => void process.off('unhandledRejection', onRejection));
beforeEach(async () => {
  server = await RedisServer.create();
  await server.start();
  admin = new Redis(server.url, { retryStrategy: () => 50 });
  admin.on('error', () => undefined);
  await admin.ping();
  fleet = new Fleet({ url: server.url });
  [bus, other] = await Promise.all([fleet.started(), fleet.started()]);
});
afterEach(async () => {
  admin.disconnect();
  await fleet.stop();
  await server.dispose();
  expect(rejections).toEqual([]);
});

const healthy = (): Promise<boolean> =>
  eventually(() => bus.healthy() && other.healthy(), { what: 'both replicas hear', withinMs: 20_000 });

async function signalsUntil(
  subscription: BusSubscription,
  accepts: (signal: BusSignal) => boolean,
): Promise<BusSignal[]> {
  const seen: BusSignal[] = [];
  for (;;) {
    const { value, done } = await subscription.next();
    if (done) throw new Error('the subscription ended');
    seen.push(value);
    if (accepts(value)) return seen;
  }
}

/** What is left after a collection; 100,000 messages that wait would be a multiple of the bound. */
const BOUND = 50 * 1024 * 1024;
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
function heapBytes(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

const isGap = ({ kind }: BusSignal): boolean => kind === 'gap';

/** That news gets through both ways, after whatever happened. */
async function exchange(seq: number): Promise<void> {
  for (const [from, to] of [
    [bus, other],
    [other, bus],
  ] as const) {
    const subscription = await to.subscribe([jobTopic('after')]);
    from.publish(durable('after', seq));
    await signalsUntil(subscription, (signal) => signal.kind === 'job' && signal.seq === seq);
    subscription.close();
  }
}

describe('a Redis that goes away (F33)', () => {
  it('is told of as a gap again and again until it is back, and then news goes through', async () => {
    const subscription = await other.subscribe([jobTopic('a')]);
    await server.stop();
    await signalsUntil(subscription, isGap);
    await signalsUntil(subscription, isGap);
    expect([bus.healthy(), other.healthy()]).toEqual([false, false]);
    bus.publish(durable('a', 1));
    await server.start();
    await signalsUntil(subscription, isGap);
    await healthy();
    await exchange(2);
    subscription.close();
  });

  it('keeps nobody waiting: questions are answered with nothing, local news goes on', async () => {
    await server.stop();
    await eventually(() => !bus.healthy());
    const own = await bus.subscribe([jobTopic('a')]);
    bus.publish(durable('a', 1));
    expect((await signalsUntil(own, ({ kind }) => kind === 'job')).at(-1)).toEqual(durable('a', 1));
    bus.publishPreview(preview('a', 1), new Uint8Array(10));
    expect((await other.latest(['a'])).size).toBe(0);
    expect(await other.previewImage('a')).toBeNull();
    await server.start();
    await healthy();
  });

  it('costs no memory, however much is published meanwhile', async () => {
    await server.stop();
    await eventually(() => !bus.healthy());
    const before = heapBytes();
    for (let n = 0; n < 100_000; n++) bus.publish(progress(`job${n}`, n / 100_000));
    expect(heapBytes() - before).toBeLessThan(BOUND);
    await server.start();
    await healthy();
    await exchange(1);
  });

  it('writes the newest progress, and forgets what ended meanwhile, once it is back', async () => {
    bus.publish(progress('ended', 0.4));
    await eventually(async () => (await other.latest(['ended'])).size === 1);
    // it answers nobody, but keeps what it holds
    await server.pause();
    await eventually(() => !bus.healthy());
    bus.publish(progress('running', 0.1));
    bus.publish(progress('running', 0.2));
    bus.forget('ended');
    await server.resume();
    await healthy();
    const latest = await eventually(async () => {
      const found = await other.latest(['running', 'ended']);
      return found.has('running') && !found.has('ended') && found;
    });
    expect(latest.get('running')?.progress?.fraction).toBe(0.2);
  });

  it('is waited for when it is not there at the start', async () => {
    await server.stop();
    const late = fleet.bus();
    await late.start();
    expect(late.healthy()).toBe(false);
    const subscription = await late.subscribe([jobTopic('a')]);
    await signalsUntil(subscription, isGap);
    await server.start();
    await eventually(() => late.healthy(), { withinMs: 20_000 });
    await healthy();
    bus.publish(durable('a', 1));
    await signalsUntil(subscription, ({ kind }) => kind === 'job');
  });

  it('does not hold up a stop', async () => {
    await server.stop();
    await eventually(() => !bus.healthy());
    await Promise.all([bus.stop(), other.stop()]);
    await server.start();
  });
});

describe('a Redis that is open and dead (F33)', () => {
  it('is noticed, told of as gaps, and left for a new connection', async () => {
    const subscription = await other.subscribe([jobTopic('a')]);
    await server.pause();
    await signalsUntil(subscription, isGap);
    await signalsUntil(subscription, isGap);
    expect(other.healthy()).toBe(false);
    expect((await other.latest(['a'])).size).toBe(0);
    await server.resume();
    await healthy();
    await exchange(1);
    await eventually(() => fleet.logs.some(({ msg }) => msg === 'connected to Redis again'));
  });

  it('holds up neither publishers nor a stop, and takes no more memory than a bound', async () => {
    await server.pause();
    const before = heapBytes();
    for (let n = 0; n < 100_000; n++) bus.publish(durable(`job${n}`, 1));
    expect(heapBytes() - before).toBeLessThan(BOUND);
    await Promise.all([bus.stop(), other.stop()]);
    await server.resume();
  });
});

describe('a Redis that loses or refuses (F33)', () => {
  it('may be emptied at any moment', async () => {
    bus.publish(progress('a', 0.1));
    bus.publishPreview(preview('a', 1), new Uint8Array([1]));
    await eventually(() => other.previewImage('a'));
    await server.flushAll();
    expect((await other.latest(['a'])).size).toBe(0);
    bus.publish(progress('a', 0.2));
    const latest = await eventually(async () => (await other.latest(['a'])).get('a'));
    expect(latest.progress?.fraction).toBe(0.2);
    await exchange(1);
  });

  it('may cut every connection', async () => {
    const subscription = await other.subscribe([jobTopic('a')]);
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await signalsUntil(subscription, isGap);
    await healthy();
    await exchange(1);
  });

  it('may take no more clients for a while', async () => {
    await admin.config('SET', 'maxclients', '1');
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    const subscription = await other.subscribe([jobTopic('a')]);
    await signalsUntil(subscription, isGap);
    await signalsUntil(subscription, isGap);
    expect(other.healthy()).toBe(false);
    await admin.config('SET', 'maxclients', '1000');
    await healthy();
    await exchange(1);
  });

  it('may have no memory left: messages still travel', async () => {
    await admin.config('SET', 'maxmemory-policy', 'noeviction', 'maxmemory', '1mb');
    const subscription = await other.subscribe([jobTopic('a')]);
    bus.publish(progress('a', 0.3));
    bus.publishPreview(preview('a', 1), new Uint8Array(100_000));
    bus.publish(durable('a', 2));
    await signalsUntil(subscription, (signal) => signal.kind === 'job' && signal.seq === 2);
    expect((await other.latest(['a'])).size).toBe(0);
    expect([bus.healthy(), other.healthy()]).toEqual([true, true]);
    await admin.config('SET', 'maxmemory', '0');
    bus.publish(progress('a', 0.4));
    await eventually(async () => (await other.latest(['a'])).get('a')?.progress?.fraction === 0.4);
  });

  it('may be restarted again and again', async () => {
    const subscription = await other.subscribe([jobTopic('a')]);
    for (let round = 0; round < 3; round++) {
      await server.kill();
      await server.start();
      await signalsUntil(subscription, isGap);
    }
    await healthy();
    await exchange(1);
  });

  it('may refuse the password for a while, which no log repeats', async () => {
    await admin.config('SET', 'requirepass', 'right-secret');
    const url = new URL(server.url);
    url.password = 'wrong-secret';
    const refused = fleet.bus({ url: url.href });
    await refused.start();
    expect(refused.healthy()).toBe(false);
    await admin.config('SET', 'requirepass', 'wrong-secret');
    await eventually(() => refused.healthy());
    expect(fleet.logs.map(({ reason }) => reason)).toContain('WRONGPASS');
    expect(JSON.stringify(fleet.logs)).not.toContain('secret');
  });
});
