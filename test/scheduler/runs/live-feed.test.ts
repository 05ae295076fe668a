import { describe, expect, it } from 'vitest';
import type { Progress } from '../../../src/domain/job.ts';
import { MemoryBus } from '../../../src/events/memory-bus.ts';
import type { JobMessage } from '../../../src/events/messages.ts';
import { jobTopic } from '../../../src/events/topics.ts';
import { LiveFeed } from '../../../src/scheduler/runs/live-feed.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

async function setUp() {
  const clock = new VirtualClock();
  const bus = new MemoryBus();
  await bus.start();
  const published: JobMessage[] = [];
  const publish = bus.publish.bind(bus);
  bus.publish = (message) => {
    if (message.kind === 'job') published.push(message);
    publish(message);
  };
  const subject = { jobId: 'j', tenant: 't', createdAt: clock.now() - 50, seq: () => 3 };
  const previews: number[] = [];
  const publishPreview = bus.publishPreview.bind(bus);
  bus.publishPreview = (message, image) => {
    previews.push(message.change.preview.revision);
    publishPreview(message, image);
  };
  return { clock, bus, published, previews, feed: new LiveFeed(bus, clock, subject), topic: jobTopic('j') };
}

function progress(fraction: number): { type: 'progress'; progress: Progress } {
  const nothing = { node: null, nodeType: null, step: null, totalSteps: null, remainingMs: null };
  return { type: 'progress', progress: { ...nothing, fraction } };
}

describe('the live feed of a run', () => {
  it('lets a burst of steps through whole', async () => {
    const { feed, published } = await setUp();
    for (let step = 1; step <= 40; step++) feed.event(progress(step / 40));
    expect(published).toHaveLength(40);
    expect(published[0]).toMatchObject({ jobId: 'j', tenant: 't', seq: 3 });
  });

  it('slows a flood down to its newest, which always gets out', async () => {
    const { feed, published, clock } = await setUp();
    for (let step = 1; step <= 1000; step++) feed.event(progress(step / 1000));
    const burst = published.length;
    expect(burst).toBeLessThan(100);
    await clock.advance(1000);
    expect(published.length).toBe(burst + 1);
    expect(published.at(-1)?.change).toEqual(progress(1));
    expect(clock.pending).toBe(0);
  });

  it('lets out what it holds when it closes, and is silent afterwards', async () => {
    const { feed, published, clock } = await setUp();
    for (let step = 1; step <= 500; step++) feed.event(progress(step / 500));
    feed.close();
    expect(published.at(-1)?.change).toEqual(progress(1));
    const told = published.length;
    feed.event(progress(1));
    feed.picture('image/png', new Uint8Array(1));
    await clock.advance(1000);
    expect(published).toHaveLength(told);
    expect(clock.pending).toBe(0);
  });

  it('numbers pictures so that a later one has a greater revision, over attempts too', async () => {
    const { feed, previews, bus, clock } = await setUp();
    for (let n = 0; n < 5; n++) feed.picture('image/png', new Uint8Array([n]));
    await clock.advance(1000);
    feed.close();
    const subject = { jobId: 'j', tenant: 't', createdAt: clock.now() - 1050, seq: () => 3 };
    const next = new LiveFeed(bus, clock, subject);
    next.picture('image/png', new Uint8Array(1));
    expect(previews).toEqual([...new Set(previews)].sort((a, b) => a - b));
    expect(previews).toHaveLength(6);
  });
});
