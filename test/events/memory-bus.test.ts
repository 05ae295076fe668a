import { describe, expect, it } from 'vitest';
import { MemoryBus } from '../../src/events/memory-bus.ts';
import { jobsTopic, jobTopic, queueTopic } from '../../src/events/topics.ts';
import { eventBusContract } from './event-bus.contract.ts';
import { durable, preview, progress } from './messages.ts';

eventBusContract('the memory bus', async () => {
  const bus = new MemoryBus();
  await bus.start();
  return { bus, other: bus, close: () => bus.stop() };
});

describe('MemoryBus', () => {
  it('listens to nothing any more once every subscriber has left, by whatever way', async () => {
    const bus = new MemoryBus();
    await bus.start();
    const abort = new AbortController();
    const one = await bus.subscribe([jobTopic('a'), jobsTopic('acme')]);
    const two = await bus.subscribe([jobTopic('a'), queueTopic], { signal: abort.signal });
    const three = await bus.subscribe([jobTopic('a')]);
    expect(bus.topicCount).toBe(3);
    one.close();
    abort.abort();
    expect(bus.topicCount).toBe(1);
    await three.return();
    expect(bus.topicCount).toBe(0);
    expect((await two.next()).done).toBe(true);
    await bus.stop();
  });

  it('keeps live news of a bounded number of jobs, the least recently updated going first', async () => {
    const bus = new MemoryBus({ maxJobs: 2 });
    await bus.start();
    bus.publish(progress('a', 0.1));
    bus.publish(progress('b', 0.1));
    bus.publish(progress('a', 0.2));
    bus.publish(progress('c', 0.1));
    expect([...(await bus.latest(['a', 'b', 'c'])).keys()]).toEqual(['a', 'c']);
    await bus.stop();
  });

  it('keeps a bounded number of picture bytes, counting those replaced and forgotten no more', async () => {
    const bus = new MemoryBus({ maxImageBytes: 10 });
    await bus.start();
    for (let revision = 1; revision <= 50; revision++) {
      bus.publishPreview(preview('a', revision), new Uint8Array(5));
      bus.publishPreview(preview('b', revision), new Uint8Array(5));
    }
    expect((await bus.latest(['a', 'b'])).size).toBe(2);
    bus.forget('a');
    bus.publishPreview(preview('c', 1), new Uint8Array(5));
    expect([...(await bus.latest(['a', 'b', 'c'])).keys()]).toEqual(['b', 'c']);
    bus.publishPreview(preview('d', 1), new Uint8Array(8));
    expect([...(await bus.latest(['b', 'c', 'd'])).keys()]).toEqual(['d']);
    await bus.stop();
  });

  it('drops what is published before it runs', async () => {
    const bus = new MemoryBus();
    bus.publish(progress('a', 0.1));
    await bus.start();
    expect((await bus.latest(['a'])).size).toBe(0);
    const subscription = await bus.subscribe([jobTopic('a')]);
    bus.publish(durable('a', 1));
    expect((await subscription.next()).value).toEqual(durable('a', 1));
    await bus.stop();
  });
});
