import { describe, expect, it } from 'vitest';
import { Comebacks } from '../../src/scheduler/comebacks.ts';
import { laneOf } from '../../src/scheduler/planning/lane.ts';
import { pendingJob } from './planning/pending-job.ts';
import { PlanWorld } from './planning/plan-world.ts';

/** Numbers in [0, 1) that are the same in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

const ids = (count: number): string[] => Array.from({ length: count }, (_, n) => `i${n}`);

describe('instances that come back', () => {
  it('wait for nothing when they are alone', () => {
    const comebacks = new Comebacks(() => 0.99);
    comebacks.observe(['i0'], 0);
    expect(comebacks.isResting('i0', 0)).toBe(false);
    comebacks.observe(['i0', 'i1'], 5000);
    expect(comebacks.isResting('i1', 5000)).toBe(false);
    comebacks.observe(['i1'], 9000);
    comebacks.observe(['i0', 'i1'], 20_000);
    expect(comebacks.isResting('i0', 20_000)).toBe(false);
    expect(comebacks.nextEndAt()).toBeNull();
  });

  it('get their first job at moments of their own when they are many, all within half a second', () => {
    const comebacks = new Comebacks(seeded(7));
    comebacks.observe(ids(40), 0);
    const resting = (at: number): number => ids(40).filter((id) => comebacks.isResting(id, at)).length;
    expect(resting(0)).toBeGreaterThan(36);
    expect(resting(250)).toBeGreaterThan(10);
    expect(resting(250)).toBeLessThan(30);
    expect(resting(500)).toBe(0);
    expect(comebacks.nextEndAt()).toBeGreaterThan(0);
    comebacks.observe(ids(40), 500);
    expect(comebacks.nextEndAt()).toBeNull();
  });

  it('count as together when they come one right after the other, and rest no more once they have', () => {
    const comebacks = new Comebacks(() => 0.5);
    for (let n = 1; n <= 10; n++) comebacks.observe(ids(n), n * 10);
    expect(comebacks.isResting('i9', 100)).toBe(true);
    expect(comebacks.isResting('i9', 600)).toBe(false);
    comebacks.observe(ids(10), 700);
    expect(ids(10).some((id) => comebacks.isResting(id, 700))).toBe(false);
  });

  it('are not stampeded by 2,000 waiting jobs: lost ones first, repeated ones a tenth at most (F44)', () => {
    const world = new PlanWorld(
      Array.from({ length: 40 }, () => ({ answering: false })),
      seeded(3),
    );
    for (let n = 0; n < 2000; n++) {
      const createdAt = n;
      if (n < 40) world.put(pendingJob({ id: `lost${n}`, createdAt, attemptCount: 1 }));
      else if (n < 140) {
        world.put(pendingJob({ id: `retry${n}`, createdAt, attemptCount: 1, chargedAttempts: 1 }));
      } else world.put(pendingJob({ id: `new${n}`, createdAt }));
    }
    world.now = 600_000;
    expect(world.plan()).toEqual([]);
    const back = 601_000;
    world.now = back;
    world.instances = world.instances.map((it) => ({ ...it, answering: true }));
    for (; world.queue.size > 0; world.now += world.now < back + 1000 ? 10 : 500) {
      // each job takes two seconds
      world.finish(({ at }) => world.now - at >= 2000);
      world.plan();
    }
    const first = world.dispatched.slice(0, 40);
    expect(first.every(({ job }) => job.id.startsWith('lost'))).toBe(true);
    expect(new Set(first.map(({ instanceId }) => instanceId)).size).toBe(40);
    const perMoment = new Map<number, number>();
    for (const { at } of first) perMoment.set(at, (perMoment.get(at) ?? 0) + 1);
    expect(Math.max(...perMoment.values())).toBeLessThanOrEqual(6);
    expect(Math.max(...first.map(({ at }) => at))).toBeLessThanOrEqual(back + 510);
    // each retry was held against the budget as it went; all have gone in the end
    expect(world.dispatched.filter(({ job }) => laneOf(job).isRetry)).toHaveLength(100);
  });
});
