import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_LIMITS } from '../../../src/domain/tenant-limits.ts';
import { type Lane, laneOf } from '../../../src/scheduler/planning/lane.ts';
import { OrderWalk, PLAIN_ORDER } from '../../../src/scheduler/planning/order-walk.ts';
import { PendingQueue } from '../../../src/scheduler/planning/pending-queue.ts';
import type { PendingJob } from '../../../src/store/jobs.ts';
import { pendingJob, servedBefore } from './pending-job.ts';

const NOW = 1000;
const job = fc
  .record({
    id: fc.integer({ min: 0, max: 30 }).map((n) => `j${n}`),
    priority: fc.integer({ min: 1, max: 10 }),
    tenant: fc.constantFrom('t', 'u'),
    needsKey: fc.constantFrom('a', 'b', 'c'),
    chargedAttempts: fc.constantFrom(0, 1),
    crashes: fc.constantFrom(0, 1),
    createdAt: fc.integer({ min: 0, max: 5 }),
    notBefore: fc.constantFrom(0, NOW, NOW + 5, NOW + 10),
    deadlineAt: fc.constantFrom(null, NOW - 1, NOW, NOW + 1),
  })
  .map(pendingJob);
const command = fc.oneof(
  job.map((it) => ({ put: it })),
  fc.integer({ min: 0, max: 30 }).map((n) => ({ remove: `j${n}` })),
);

/** No tenant is ever noticeably ahead of another. */
const HARDLY = () => ({ ...NO_LIMITS, weight: Number.POSITIVE_INFINITY });

/** The jobs in serving order, without those of lanes that `held` names. */
function drain(queue: PendingQueue, held: (lane: Lane) => boolean = () => false): string[] {
  const walk = new OrderWalk(
    queue.streams(),
    { ...PLAIN_ORDER, limitsOf: HARDLY },
    ({ lane }) => !held(lane),
  );
  const ids: string[] = [];
  for (let turn = walk.next(); turn; turn = walk.next()) ids.push(turn.job.id);
  return ids;
}

describe('the queue of waiting jobs', () => {
  it('behaves like a sorted list of the due jobs, whatever is put in, replaced and removed', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60 }), fc.constantFrom(0, 5, 10), (commands, later) => {
        const queue = new PendingQueue();
        const model = new Map<string, PendingJob>();
        for (const it of commands) {
          if ('put' in it) {
            queue.put(it.put, NOW);
            model.set(it.put.id, it.put);
          } else {
            queue.remove(it.remove);
            model.delete(it.remove);
          }
        }
        queue.ripen(NOW + later);
        const all = [...model.values()];
        const due = all.filter((it) => it.notBefore <= NOW + later).sort(servedBefore);
        expect(drain(queue)).toEqual(due.map((it) => it.id));
        const rules: ((lane: Lane) => boolean)[] = [
          (lane) => lane.needsKey === 'a',
          (lane) => lane.isRetry,
          (lane) => lane.isSuspect && lane.tenant === 't',
        ];
        for (const held of rules) {
          expect(drain(queue, held)).toEqual(due.filter((it) => !held(laneOf(it))).map((it) => it.id));
        }
        expect(queue.size).toBe(model.size);
        expect(queue.lanes().reduce((sum, lane) => sum + lane.jobs.length, 0)).toBe(due.length);
        for (const needsKey of ['a', 'b', 'c']) {
          const ofClass = due.filter((it) => it.needsKey === needsKey);
          expect(queue.waitingOf(needsKey)).toBe(ofClass.length);
          expect([...queue.lanesOf(needsKey)].reduce((sum, lane) => sum + lane.jobs.length, 0)).toBe(
            ofClass.length,
          );
        }
        expect(new Set(queue.classes())).toEqual(new Set(due.map((it) => it.needsKey)));
        const changes = all.flatMap((it) => [
          ...(it.notBefore > NOW + later ? [it.notBefore] : []),
          ...(it.deadlineAt === null ? [] : [it.deadlineAt]),
        ]);
        if (changes.length > 0) expect(queue.nextChangeAt()).toBeLessThanOrEqual(Math.min(...changes));
        const overdue = all.filter((it) => it.deadlineAt !== null && it.deadlineAt <= NOW);
        expect(new Set(queue.overdue(NOW))).toEqual(new Set(overdue));
      }),
    );
  });

  it('serves a job that lost its instance before all that came after it', () => {
    const queue = new PendingQueue();
    for (const [id, createdAt] of Object.entries({ second: 2, third: 3, first: 1 })) {
      queue.put(pendingJob({ id, createdAt }), NOW);
    }
    expect(drain(queue)).toEqual(['first', 'second', 'third']);
  });

  it('names an overdue job again a moment later, for as long as it waits', () => {
    const queue = new PendingQueue();
    queue.put(pendingJob({ id: 'late', deadlineAt: NOW }), NOW);
    expect(queue.overdue(NOW)).toHaveLength(1);
    expect(queue.overdue(NOW)).toEqual([]);
    expect(queue.nextChangeAt()).toBe(NOW + 1000);
    expect(queue.overdue(NOW + 1000)).toHaveLength(1);
    queue.remove('late');
    expect(queue.overdue(NOW + 2000)).toEqual([]);
    expect(queue.nextChangeAt()).toBeNull();
  });

  it('remembers how often a waiting job was overtaken until it leaves, whatever is learnt of it meanwhile', () => {
    const queue = new PendingQueue();
    queue.put(pendingJob({ id: 'a' }), NOW);
    queue.overtake(['a', 'gone']);
    queue.overtake(['a']);
    queue.put(pendingJob({ id: 'a', notBefore: NOW + 1 }), NOW);
    queue.ripen(NOW + 1);
    expect(queue.overtaken('a')).toBe(2);
    expect(queue.overtaken('gone')).toBe(0);
    queue.remove('a');
    queue.put(pendingJob({ id: 'a' }), NOW);
    expect(queue.overtaken('a')).toBe(0);
  });

  it('gives copies of its streams that stay as they were', () => {
    const queue = new PendingQueue();
    for (const id of ['a', 'b']) queue.put(pendingJob({ id }), NOW);
    const frozen = [...queue.frozenStreams()];
    queue.remove('a');
    queue.put(pendingJob({ id: 'c', tenant: 'other' }), NOW);
    const walk = new OrderWalk(frozen, PLAIN_ORDER);
    expect([walk.next()?.job.id, walk.next()?.job.id, walk.next()]).toEqual(['a', 'b', null]);
  });
});
