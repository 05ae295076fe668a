import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RedisBus } from '../../src/events/redis-bus.ts';
import type { Wire } from '../../src/events/wire.ts';
import { eventually } from '../support/eventually.ts';
import { job, preview, previewOf, progress, progressOf } from './messages.ts';
import { Fleet, forwarding, testRedisUrl } from './redis-rig.ts';

let fleet: Fleet;
let bus: RedisBus;
let other: RedisBus;
let redis: Redis;
beforeEach(async () => {
  redis = new Redis(testRedisUrl());
  fleet = new Fleet();
  [bus, other] = await Promise.all([fleet.started(), fleet.started()]);
});
afterEach(async () => {
  await fleet.stop();
  redis.disconnect();
});

const key = (jobId: string): string => `${fleet.prefix}:live:${jobId}`;
const progressAt = async (jobId: string, fraction: number): Promise<true> =>
  eventually(async () => (await other.latest([jobId])).get(jobId)?.progress?.fraction === fraction);

describe('live news in Redis', () => {
  it('expires by itself, at the latest ten minutes after the newest', async () => {
    bus.publish(progress('a', 0.1));
    await progressAt('a', 0.1);
    await redis.pexpire(key('a'), 50_000);
    bus.publish(progress('a', 0.2));
    await progressAt('a', 0.2);
    expect(await redis.pttl(key('a'))).toBeGreaterThan(590_000);
    expect(await redis.pttl(key('a'))).toBeLessThanOrEqual(600_000);
  });

  it('is written ten times a second at most, however fast it comes', async () => {
    let writes = 0;
    const counted = (wire: Wire): Wire => ({
      ...forwarding(wire),
      command: (bytes, run) => {
        writes++;
        return wire.command(bytes, run);
      },
    });
    const busy = await fleet.started({ through: counted });
    for (let n = 1; n <= 500; n++) busy.publish(progress('a', n / 500));
    await progressAt('a', 1);
    expect(writes).toBeLessThan(5);
  });

  it('keeps pictures as the bytes they are', async () => {
    const image = new Uint8Array(256).map((_, n) => n);
    bus.publishPreview(preview('a', 1), image);
    const found = await eventually(() => other.previewImage('a'));
    expect([...found.image]).toEqual([...image]);
    expect(await redis.hgetBuffer(key('a'), 'image')).toEqual(Buffer.from(image));
  });

  it('keeps no picture that is too large', async () => {
    bus.publishPreview(preview('a', 1), new Uint8Array(3 * 1024 * 1024));
    bus.publishPreview(preview('b', 1), new Uint8Array(10));
    await eventually(() => other.previewImage('b'));
    expect(await other.previewImage('a')).toBeNull();
  });

  it('is not overwritten by a leader that was paused, whose attempt is over', async () => {
    bus.publish(progress('a', 0.2, 9));
    await progressAt('a', 0.2);
    other.publish(progress('a', 0.9, 4));
    other.publishPreview({ ...preview('a', 1), seq: 4 }, new Uint8Array(10));
    other.publish(progress('b', 0.1));
    await eventually(async () => (await redis.exists(key('b'))) === 1);
    const found = await bus.latest(['a']);
    expect(found.get('a')).toEqual({ progress: progressOf(0.2), preview: null, seq: 9 });
  });

  it('of a new attempt is not erased with that of the one before', async () => {
    bus.publishPreview(preview('a', 1), new Uint8Array([1]));
    bus.publish(progress('a', 0.9));
    bus.forget('a');
    bus.publishPreview({ ...preview('a', 2), seq: 3 }, new Uint8Array([2]));
    bus.publish(progress('a', 0.1, 3));
    await progressAt('a', 0.1);
    expect((await other.latest(['a'])).get('a')?.preview).toEqual(previewOf(2));
    expect((await other.previewImage('a'))?.image[0]).toBe(2);
  });

  it('is at hand in the process that said it before it is written', async () => {
    bus.publish(progress('a', 0.3));
    expect((await bus.latest(['a'])).get('a')?.progress?.fraction).toBe(0.3);
    bus.forget('a');
    expect((await bus.latest(['a'])).size).toBe(0);
  });

  it('leaves no key behind', async () => {
    bus.publish(progress('a', 0.3));
    await eventually(async () => (await redis.exists(key('a'))) === 1);
    bus.forget('a');
    await eventually(async () => (await redis.exists(key('a'))) === 0);
  });

  it.each([
    ['a string', (): Promise<unknown> => redis.set(key('a'), 'nonsense')],
    ['no JSON', (): Promise<unknown> => redis.hset(key('a'), { progress: '{', preview: 'x', image: 'y' })],
    [
      'other JSON',
      (): Promise<unknown> => redis.hset(key('a'), { progress: '{"fraction":"1"}', preview: '[]' }),
    ],
  ])('is absent where somebody else left %s', async (_what, leave) => {
    await leave();
    expect((await other.latest(['a'])).size).toBe(0);
    expect(await other.previewImage('a')).toBeNull();
    bus.publish(job('a', 1, { type: 'progress', progress: progressOf(0.5) }));
    bus.publish(progress('b', 0.1));
    await progressAt('b', 0.1);
    expect(bus.healthy()).toBe(true);
  });

  it('of a thousand jobs is answered by one question', async () => {
    const ids = Array.from({ length: 1000 }, (_, n) => `job${n}`);
    for (const id of ids) bus.publish(progress(id, 0.5));
    await eventually(async () => (await other.latest(ids)).size === 1000);
  });
});
