import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createBus } from '../../src/events/create-bus.ts';
import { MemoryBus } from '../../src/events/memory-bus.ts';
import { hintsTopic } from '../../src/events/topics.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { hint } from './messages.ts';
import { testRedisUrl } from './redis-rig.ts';

const parts = { clock: systemClock, ids: randomUUID, logger: createLogger('silent'), random: Math.random };

describe('the bus that is chosen', () => {
  it('stays within the process without a REDIS_URL', () => {
    expect(createBus({ redisUrl: undefined, redisPrefix: 'x' }, parts)).toBeInstanceOf(MemoryBus);
  });

  it('joins the processes of one prefix, and no others, with one', async () => {
    const redisUrl = testRedisUrl();
    const [one, two] = [randomUUID(), randomUUID()];
    const buses = [one, one, two].map((redisPrefix) => createBus({ redisUrl, redisPrefix }, parts));
    const [from, to, other] = buses as [(typeof buses)[0], (typeof buses)[0], (typeof buses)[0]];
    await Promise.all(buses.map((bus) => bus.start()));
    const [near, far] = await Promise.all([to, other].map((bus) => bus.subscribe([hintsTopic])));
    from.publish(hint('job-queued', 'a'));
    other.publish(hint('job-queued', 'b'));
    expect((await near?.next())?.value).toEqual(hint('job-queued', 'a'));
    expect((await far?.next())?.value).toEqual(hint('job-queued', 'b'));
    await Promise.all(buses.map((bus) => bus.stop()));
  });
});
