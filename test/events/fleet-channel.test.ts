import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { seal } from '../../src/events/envelope.ts';
import { FleetChannel } from '../../src/events/fleet-channel.ts';
import type { BusMessage } from '../../src/events/messages.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { FakeHub, type FakeWire } from './fake-wire.ts';
import { durable } from './messages.ts';

interface Replica {
  readonly channel: FleetChannel;
  readonly wire: FakeWire;
  readonly heard: BusMessage[];
  gaps: number;
  readonly logs: { readonly msg: string }[];
  readonly dropped: [reason: string, count: number][];
}

const SECOND = 1000;
let clock: VirtualClock;
/** Time that went by while the process ran nothing, not even timers. */
let stoodStill: number;
let hub: FakeHub;
let replicas: Replica[];
let a: Replica;
let b: Replica;

function replica(id: string): Replica {
  const wire = hub.wire();
  const logs: { msg: string }[] = [];
  const logger = createLogger('info', { write: (line) => void logs.push(JSON.parse(line)) });
  const time: Clock = {
    now: () => clock.now() + stoodStill,
    monotonic: () => clock.monotonic() + stoodStill,
    after: (ms, callback) => clock.after(ms, callback),
  };
  const made: Replica = {
    wire,
    logs,
    heard: [],
    gaps: 0,
    dropped: [],
    channel: new FleetChannel(
      {
        wire,
        clock: time,
        logger,
        ids: () => id,
        random: () => 0.5,
        onDropped: (reason, count) => void made.dropped.push([reason, count]),
      },
      {
        onMessage: (message) => void made.heard.push(message),
        onGap: () => made.gaps++,
        onCalm: () => undefined,
      },
    ),
  };
  replicas.push(made);
  return made;
}

beforeEach(async () => {
  clock = new VirtualClock();
  stoodStill = 0;
  hub = new FakeHub();
  replicas = [];
  [a, b] = [replica('a'), replica('b')];
  await a.channel.start();
  await b.channel.start();
  await clock.advance(5 * SECOND);
  a.gaps = 0;
  b.gaps = 0;
});
afterEach(async () => {
  for (const { channel } of replicas) {
    const stopping = channel.stop();
    await clock.advance(SECOND);
    await stopping;
  }
  expect(clock.pending).toBe(0);
});

/** Loses the next texts of a kind. */
function lose(count: number, kind = '"type":"news"'): void {
  let left = count;
  hub.arrives = (text) => !(text.includes(kind) && left-- > 0);
}

describe('the channel of a fleet (F34)', () => {
  it('tells no gap while nothing is lost, and its own messages to others only', async () => {
    for (let seq = 1; seq <= 50; seq++) a.channel.send(durable('x', seq));
    await clock.advance(60 * SECOND);
    expect(b.heard).toEqual(Array.from({ length: 50 }, (_, n) => durable('x', n + 1)));
    expect(a.heard).toEqual([]);
    expect([a.gaps, b.gaps]).toEqual([0, 0]);
  });

  it('misses a lost message when the next one comes', () => {
    lose(1);
    a.channel.send(durable('x', 1));
    expect(b.gaps).toBe(0);
    a.channel.send(durable('x', 2));
    expect(b.gaps).toBe(1);
    expect(b.heard).toEqual([durable('x', 2)]);
  });

  it('misses a lost last message within two seconds', async () => {
    lose(1);
    a.channel.send(durable('x', 1));
    await clock.advance(2 * SECOND);
    expect(b.gaps).toBe(1);
  });

  it('misses what the publisher could not even send', async () => {
    a.wire.open = false;
    a.channel.send(durable('x', 1));
    a.wire.connect();
    await clock.advance(2 * SECOND);
    expect(b.gaps).toBe(1);
  });

  it('tells at most one gap a second, and the last one after the last loss', async () => {
    for (let n = 0; n < 100; n++) {
      lose(1);
      a.channel.send(durable('x', n));
      a.channel.send(durable('x', n));
      await clock.advance(50);
    }
    expect(b.gaps).toBeGreaterThanOrEqual(4);
    expect(b.gaps).toBeLessThanOrEqual(6);
    const before = b.gaps;
    lose(1);
    a.channel.send(durable('x', 200));
    a.channel.send(durable('x', 201));
    await clock.advance(SECOND);
    expect(b.gaps).toBe(before + 1);
  });

  it('delivers nothing twice and nothing late, which a gap has made up for', () => {
    a.channel.send(durable('x', 1));
    const first = hub.texts.at(-1) ?? '';
    lose(1);
    a.channel.send(durable('x', 2));
    const second = hub.texts.at(-1) ?? '';
    a.channel.send(durable('x', 3));
    hub.say(first);
    hub.say(second);
    expect(b.heard).toEqual([durable('x', 1), durable('x', 3)]);
    expect(b.gaps).toBe(1);
  });

  it('takes a publisher that falls silent for one that may have died with something unsaid', async () => {
    a.wire.open = false;
    await clock.advance(5 * SECOND);
    expect(b.gaps).toBe(1);
    await clock.advance(60 * SECOND);
    expect(b.gaps).toBe(1);
  });

  it('misses nothing of a publisher that stopped in order', async () => {
    a.channel.send(durable('x', 1));
    const stopping = a.channel.stop();
    await clock.advance(SECOND);
    await stopping;
    await clock.advance(60 * SECOND);
    expect(b.gaps).toBe(0);
  });

  it('misses the last message of a publisher that stopped in order', async () => {
    lose(1);
    a.channel.send(durable('x', 1));
    const stopping = a.channel.stop();
    await clock.advance(SECOND);
    await stopping;
    expect(b.gaps).toBe(1);
  });

  it('misses the first messages of a publisher it never heard of', () => {
    hub.say(seal({ type: 'news', from: 'c', n: 1, message: durable('x', 1) }) ?? '');
    expect(b.gaps).toBe(0);
    hub.say(seal({ type: 'news', from: 'd', n: 3, message: durable('x', 1) }) ?? '');
    expect(b.gaps).toBe(1);
  });

  it('answers news of another version with a gap, and noise with nothing', () => {
    for (const noise of ['', 'null', '{}', '[1]', '{"v":1,"type":"news"}', 'x'.repeat(300_000)])
      hub.say(noise);
    expect(b.gaps).toBe(0);
    hub.say('{"v":2,"type":"news","from":"c","n":1,"what":"ever"}');
    expect(b.gaps).toBe(1);
    expect(b.heard).toEqual([]);
  });

  it('says seldom, and with numbers only, what was lost', async () => {
    for (let n = 0; n < 1000; n++) hub.say('secret noise');
    await clock.advance(29 * SECOND);
    const lines = b.logs.filter(({ msg }) => msg.includes('lost'));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ malformed: 1000 });
    b.wire.open = false;
    for (let n = 0; n < 10; n++) b.channel.send(durable('secret', n));
    await clock.advance(30 * SECOND);
    expect(b.logs.filter(({ msg }) => msg.includes('lost')).at(-1)).toMatchObject({ refused: 10 });
    expect(JSON.stringify(b.logs)).not.toContain('secret');
    const count = (of: string): number => b.dropped.filter(([reason]) => reason === of).length;
    expect([count('malformed'), count('refused')]).toEqual([1000, 10]);
  });
});

describe('a channel that is cut off (F33)', () => {
  it('tells a gap every few seconds until it hears again, and one when it does', async () => {
    b.wire.open = false;
    expect(b.channel.hears()).toBe(false);
    await clock.advance(30 * SECOND);
    expect(b.gaps).toBeGreaterThanOrEqual(7);
    expect(b.gaps).toBeLessThanOrEqual(15);
    const before = b.gaps;
    b.wire.connect();
    expect(b.channel.hears()).toBe(true);
    await clock.advance(SECOND);
    expect(b.gaps).toBe(before + 1);
    await clock.advance(60 * SECOND);
    expect(b.gaps).toBe(before + 1);
    expect(b.logs.map(({ msg }) => msg)).toEqual([
      'no connection to Redis: news comes late until there is one',
      'connected to Redis again',
    ]);
  });

  it('notices within five seconds that nothing of what it says comes back, and connects anew', async () => {
    hub.arrives = () => false;
    await clock.advance(5 * SECOND);
    expect([a.wire.replaced, b.wire.replaced]).toEqual([1, 1]);
    expect(b.channel.hears()).toBe(false);
    expect(b.gaps).toBeGreaterThan(0);
  });

  it('blames nobody for the time in which its own process stood still', async () => {
    stoodStill += 30 * SECOND;
    await clock.advance(10 * SECOND);
    expect([a.wire.replaced, b.wire.replaced]).toEqual([0, 0]);
    expect([a.gaps, b.gaps]).toEqual([0, 0]);
  });
});
