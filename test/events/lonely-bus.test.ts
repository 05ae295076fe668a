import { describe, expect, it, onTestFinished } from 'vitest';
import { LonelyBus } from '../../src/events/lonely-bus.ts';
import { hintsTopic, jobTopic } from '../../src/events/topics.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { eventBusContract } from './event-bus.contract.ts';
import { durable, hint } from './messages.ts';

async function lonely(random = () => 0.5) {
  const clock = new VirtualClock();
  const bus = new LonelyBus({ clock, logger: createLogger('silent'), random });
  await bus.start();
  return { bus, clock };
}

eventBusContract('the bus of a process without a wire', async () => {
  const { bus } = await lonely();
  return { bus, other: bus, close: () => bus.stop() };
});

describe('LonelyBus', () => {
  it.each([
    [0, 2000],
    [0.5, 3500],
    [0.999, 4997],
  ])('tells of a gap again and again, 2 to 5 s after the last (random %d: %d ms)', async (random, ms) => {
    const { bus, clock } = await lonely(() => random);
    onTestFinished(() => bus.stop());
    await clock.advance(0);
    const subscription = await bus.subscribe([jobTopic('a')]);
    for (let round = 0; round < 3; round++) {
      await clock.advance(ms - 1);
      bus.publish(durable('a', round));
      expect((await subscription.next()).value).toEqual(durable('a', round));
      await clock.advance(1);
      expect((await subscription.next()).value).toEqual({ kind: 'gap' });
    }
  });

  it('leaves those alone who listen to hints: a scheduler reads the rows by itself', async () => {
    const { bus, clock } = await lonely();
    onTestFinished(() => bus.stop());
    const subscription = await bus.subscribe([hintsTopic]);
    await clock.advance(60_000);
    bus.publish(hint('job-queued', 'a'));
    expect((await subscription.next()).value).toEqual(hint('job-queued', 'a'));
  });

  it('leaves no timer behind', async () => {
    const { bus, clock } = await lonely();
    await clock.advance(10_000);
    expect(clock.pending).toBe(1);
    await bus.stop();
    expect(clock.pending).toBe(0);
  });
});
