import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createBus } from '../../src/events/create-bus.ts';
import { LonelyBus } from '../../src/events/lonely-bus.ts';
import { MemoryBus } from '../../src/events/memory-bus.ts';
import { hintsTopic } from '../../src/events/topics.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { hint } from './messages.ts';
import { testRedisUrl } from './redis-rig.ts';

const parts = { clock: systemClock, ids: randomUUID, logger: createLogger('silent'), random: Math.random };

describe('the bus that is chosen', () => {
  it('stays within the process without a REDIS_URL, and knows whether others share the store', () => {
    const alone = { databaseUrl: undefined, redisUrl: undefined, redisPrefix: 'x' };
    expect(createBus(alone, parts)).toBeInstanceOf(MemoryBus);
    expect(createBus(alone, parts)).not.toBeInstanceOf(LonelyBus);
    expect(createBus({ ...alone, databaseUrl: 'postgres://x' }, parts)).toBeInstanceOf(LonelyBus);
  });

  it('joins the processes of one prefix, and no others, with one', async () => {
    const redisUrl = testRedisUrl();
    const [one, two] = [randomUUID(), randomUUID()];
    const buses = [one, one, two].map((redisPrefix) =>
      createBus({ databaseUrl: undefined, redisUrl, redisPrefix }, parts),
    );
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
