/**
 * What every event bus promises, run on each implementation. Delivery may take a while and cross a wire, so nothing here
 * assumes that a message has arrived before it is read.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BusSignal, BusSubscription, EventBus, SubscribeOptions } from '../../src/events/bus.ts';
import {
  hintsTopic,
  instancesTopic,
  jobsTopic,
  jobTopic,
  queueTopic,
  type Topic,
} from '../../src/events/topics.ts';
import { eventually } from '../support/eventually.ts';
import { commentary, durable, hint, job, preview, previewOf, progress, progressOf } from './messages.ts';

export interface BusUnderTest {
  /** Publishes. */
  readonly bus: EventBus;
  /** Listens: the bus of another replica where there can be one, else the same. */
  readonly other: EventBus;
  /** Stops both and what they run on. */
  readonly close: () => Promise<void>;
}

/** `create` answers started buses that share nothing with those of an earlier call. */
export function eventBusContract(name: string, create: () => Promise<BusUnderTest>): void {
  describe(`${name} as an event bus`, () => {
    let under: BusUnderTest;
    const open: BusSubscription[] = [];

    beforeEach(async () => {
      under = await create();
    });

    afterEach(async () => {
      for (const subscription of open.splice(0)) subscription.close();
      await under.close();
    });

    const listen = async (topics: readonly Topic[], options?: SubscribeOptions): Promise<BusSubscription> => {
      const subscription = await under.other.subscribe(topics, options);
      open.push(subscription);
      return subscription;
    };

    /** Resolves when all that was published before has reached every mailbox of the given topic. */
    const settled = async (topic: Topic, act: () => void): Promise<void> => {
      const witness = await listen([topic], { limit: 100_000 });
      act();
      await readUntil(witness, (signal) => signal.kind === 'job' && signal.jobId === 'last');
    };
    const last = job('last', 1, { type: 'deleted' });

    it('keeps the newest survey, and tells that the queue changed once it can be read', async () => {
      const survey = (at: number) => ({
        at,
        front: [['a', at + 5] as const, ['b', null] as const],
        streams: [{ tenant: 't', priority: 5, marks: [{ createdAt: 1, rank: 2, startsAt: null }] }],
        stranded: ['k'],
        capped: [['a', 2]] as const,
        drainedAt: null,
      });
      expect(await under.other.latestSurvey()).toBeNull();
      const subscription = await listen([queueTopic]);
      for (const at of [1, 2]) {
        under.bus.publishSurvey(survey(at));
        expect((await subscription.next()).value).toEqual({ kind: 'queue', at });
        expect(await under.other.latestSurvey()).toEqual(survey(at));
      }
    });

    it('delivers what is published right after a subscription is confirmed', async () => {
      for (let round = 0; round < 20; round++) {
        const subscription = await listen([jobTopic(`job${round}`)]);
        under.bus.publish(durable(`job${round}`, 1));
        expect(await subscription.next()).toEqual({ done: false, value: durable(`job${round}`, 1) });
      }
    });

    it('delivers messages exactly as they were published', async () => {
      const subscription = await listen([jobTopic('a'), instancesTopic, queueTopic, hintsTopic]);
      const messages = [
        job('a', 1, { type: 'durable', event: { type: 'finished', status: 'COMPLETED' } }),
        job('a', 1, {
          type: 'comfy',
          messageType: 'x',
          data: { text: 'é "☃"', list: [1, null, { b: false }] },
        }),
        job('a', 2, { type: 'cached', nodes: ['1', '2'] }),
        job('a', 2, { type: 'deleted' }),
        { kind: 'instance', instanceId: 'gpu', at: 5 },
        { kind: 'queue', at: 6 },
        hint('cancel-asked', 'a'),
        hint('instances-changed'),
      ] as const;
      for (const message of messages) under.bus.publish(message);
      const read = await readCount(subscription, messages.length);
      // Only the order within one topic is promised.
      expect(read).toEqual(expect.arrayContaining([...messages]));
      expect(read.filter((signal) => signal.kind === 'job')).toEqual(messages.slice(0, 4));
    });

    it('keeps the order of a job, whatever the kind of message', async () => {
      const subscription = await listen([jobTopic('a')], { limit: 1000 });
      const sent = Array.from({ length: 200 }, (_, n) =>
        n % 2 === 0 ? durable('a', n) : commentary('a', `${n}`),
      );
      for (const message of sent) under.bus.publish(message);
      expect(await readCount(subscription, sent.length)).toEqual(sent);
    });

    it('tells a subscriber of a tenant about every job of that tenant and of no other', async () => {
      const subscription = await listen([jobsTopic('acme')]);
      under.bus.publish({ ...durable('theirs', 1), tenant: 'other' });
      under.bus.publish(durable('a', 1));
      under.bus.publish(durable('b', 1));
      expect(await readCount(subscription, 2)).toEqual([durable('a', 1), durable('b', 1)]);
    });

    it('delivers a message once to a subscriber of several of its topics', async () => {
      const subscription = await listen([jobTopic('a'), jobsTopic('acme'), jobTopic('a')]);
      under.bus.publish(durable('a', 1));
      under.bus.publish(durable('a', 2));
      under.bus.publish(durable('b', 1));
      expect(await readCount(subscription, 3)).toEqual([durable('a', 1), durable('a', 2), durable('b', 1)]);
    });

    it('gives every subscriber its own copy', async () => {
      const readers = await Promise.all([1, 2, 3].map(() => listen([jobTopic('a')])));
      under.bus.publish(durable('a', 1));
      for (const reader of readers) expect((await reader.next()).value).toEqual(durable('a', 1));
    });

    it('keeps for a lagging reader only the newest progress and preview, in their newest place', async () => {
      const slow = await listen([jobsTopic('acme')]);
      await settled(jobsTopic('acme'), () => {
        under.bus.publish(progress('a', 0.1));
        under.bus.publishPreview(preview('a', 1), new Uint8Array([1]));
        under.bus.publish(durable('a', 2));
        under.bus.publish(progress('a', 0.2));
        under.bus.publishPreview(preview('a', 2), new Uint8Array([2]));
        under.bus.publish(progress('a', 0.3));
        under.bus.publish(last);
      });
      const read = await readUntil(slow, (signal) => signal.kind === 'job' && signal.jobId === 'last');
      expect(read).toEqual([durable('a', 2), preview('a', 2), progress('a', 0.3), last]);
    });

    it('tells everybody of a gap when a change may have been missed', async () => {
      const listening = [await listen([jobTopic('a')]), await listen([queueTopic, hintsTopic])];
      under.bus.missed();
      for (const subscription of listening) await readUntil(subscription, ({ kind }) => kind === 'gap');
    });

    it('tells a reader that lags too far of a gap, and goes on from there', async () => {
      const slow = await listen([jobsTopic('acme')], { limit: 8 });
      await settled(jobsTopic('acme'), () => {
        for (let seq = 1; seq <= 9; seq++) under.bus.publish(durable('a', seq));
        under.bus.publish(last);
      });
      const read = await readUntil(slow, (signal) => signal.kind === 'job' && signal.jobId === 'last');
      expect(read[0]).toEqual({ kind: 'gap' });
      under.bus.publish(durable('a', 11));
      expect((await slow.next()).value).toEqual(durable('a', 11));
    });

    it('harms nobody when a reader never reads', async () => {
      await listen([jobsTopic('acme')], { limit: 4 });
      const reader = await listen([jobsTopic('acme')], { limit: 5000 });
      for (let seq = 1; seq <= 2000; seq++) under.bus.publish(durable('a', seq));
      const read = await readCount(reader, 2000);
      expect(read.at(-1)).toEqual(durable('a', 2000));
      expect(read.some((signal) => signal.kind === 'gap')).toBe(false);
    });

    it('harms nobody when a reader throws in its loop', async () => {
      const throwing = await listen([jobTopic('a')]);
      const reader = await listen([jobTopic('a')]);
      const loop = (async () => {
        for await (const signal of throwing) throw new Error(`cannot bear ${signal.kind}`);
      })();
      under.bus.publish(durable('a', 1));
      await expect(loop).rejects.toThrow('cannot bear job');
      under.bus.publish(durable('a', 2));
      expect(await readCount(reader, 2)).toEqual([durable('a', 1), durable('a', 2)]);
      expect(await throwing.next()).toEqual({ done: true, value: undefined });
    });

    it('ends a pending read at once when the subscription is closed or returned', async () => {
      const closed = await listen([jobTopic('a')]);
      const pending = [closed.next(), closed.next()];
      closed.close();
      closed.close();
      for (const next of pending) expect((await next).done).toBe(true);

      const returned = await listen([jobTopic('a')]);
      const next = returned.next();
      expect((await returned.return()).done).toBe(true);
      expect((await next).done).toBe(true);
    });

    it('ends a subscription when its signal aborts, before or during a read', async () => {
      const abort = new AbortController();
      const subscription = await listen([jobTopic('a')], { signal: abort.signal });
      const next = subscription.next();
      abort.abort();
      expect((await next).done).toBe(true);
      const late = await listen([jobTopic('a')], { signal: abort.signal });
      expect((await late.next()).done).toBe(true);
    });

    it('goes on for the other subscribers of a topic when one leaves', async () => {
      const leaving = await listen([jobTopic('a')]);
      const staying = await listen([jobTopic('a')]);
      leaving.close();
      under.bus.publish(durable('a', 1));
      expect((await staying.next()).value).toEqual(durable('a', 1));
      const back = await listen([jobTopic('a')]);
      under.bus.publish(durable('a', 2));
      expect((await back.next()).value).toEqual(durable('a', 2));
    });

    it('answers the newest progress and preview of running jobs to whoever comes late', async () => {
      under.bus.publish(progress('a', 0.1));
      under.bus.publish(progress('a', 0.5));
      under.bus.publish(progress('b', 0.7));
      under.bus.publishPreview(preview('b', 1), new Uint8Array([1]));
      under.bus.publishPreview(preview('b', 2), new Uint8Array([2, 2]));
      const latest = await eventually(async () => {
        const found = await under.other.latest(['a', 'b', 'unknown']);
        return found.get('a')?.progress?.fraction === 0.5 && found.get('b')?.preview?.revision === 2 && found;
      });
      expect([...latest]).toEqual(
        expect.arrayContaining([
          ['a', { progress: progressOf(0.5), preview: null, seq: 1 }],
          ['b', { progress: progressOf(0.7), preview: previewOf(2), seq: 1 }],
        ]),
      );
      expect(latest.has('unknown')).toBe(false);
      const picture = await under.other.previewImage('b');
      expect(picture && [...picture.image]).toEqual([2, 2]);
      expect(picture?.preview).toEqual(previewOf(2));
      expect(await under.other.previewImage('a')).toBeNull();
    });

    it('has the picture at hand when its announcement arrives', async () => {
      const subscription = await listen([jobTopic('a')]);
      for (let revision = 1; revision <= 20; revision++) {
        under.bus.publishPreview(preview('a', revision), new Uint8Array([revision]));
        await subscription.next();
        expect((await under.other.previewImage('a'))?.image[0]).toBe(revision);
      }
    });

    it('keeps its own copy of a picture', async () => {
      const image = new Uint8Array([1, 2, 3]);
      under.bus.publishPreview(preview('a', 1), image);
      image.fill(9);
      const kept = await eventually(() => under.other.previewImage('a'));
      expect([...kept.image]).toEqual([1, 2, 3]);
    });

    it('forgets the progress and the preview of a job whose run ended', async () => {
      under.bus.publish(progress('a', 0.5));
      under.bus.publishPreview(preview('a', 1), new Uint8Array([1]));
      await eventually(() => under.other.previewImage('a'));
      under.bus.forget('a');
      await eventually(async () => (await under.other.latest(['a'])).size === 0);
      expect(await under.other.previewImage('a')).toBeNull();
      under.bus.forget('never seen');
    });

    it('answers no jobs with nothing', async () => {
      expect((await under.other.latest([])).size).toBe(0);
    });

    it('is healthy while it runs; when it stops, subscriptions end and publishing does nothing', async () => {
      expect([under.bus.healthy(), under.other.healthy()]).toEqual([true, true]);
      const subscription = await listen([jobTopic('a')]);
      const next = subscription.next();
      await under.other.stop();
      await under.bus.stop();
      expect((await next).done).toBe(true);
      expect([under.bus.healthy(), under.other.healthy()]).toEqual([false, false]);
      under.bus.publish(durable('a', 1));
      under.bus.publishPreview(preview('a', 1), new Uint8Array([1]));
      under.bus.forget('a');
      expect((await (await listen([jobTopic('a')])).next()).done).toBe(true);
      await under.bus.stop();
    });
  });
}

async function readCount(subscription: BusSubscription, count: number): Promise<BusSignal[]> {
  const read: BusSignal[] = [];
  while (read.length < count) read.push(await readOne(subscription));
  return read;
}

async function readUntil(
  subscription: BusSubscription,
  isLast: (signal: BusSignal) => boolean,
): Promise<BusSignal[]> {
  const read: BusSignal[] = [];
  do read.push(await readOne(subscription));
  while (!read.some(isLast));
  return read;
}

async function readOne(subscription: BusSubscription): Promise<BusSignal> {
  const { done, value } = await subscription.next();
  if (done) throw new Error('the subscription ended');
  return value;
}
