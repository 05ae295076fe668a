/** Replicas whose bus loses 30 % of the messages and shuffles the rest: what subscribers of every kind see all the same. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Fault } from '../../src/domain/fault.ts';
import type { Job } from '../../src/domain/job.ts';
import { hasEnded } from '../../src/domain/job-states.ts';
import { defaultViewer } from '../../src/domain/viewer.ts';
import type { JobEventView } from '../../src/graphql/job-event-view.ts';
import { followJobEvents } from '../../src/graphql/streams/job-events-stream.ts';
import { followJob } from '../../src/graphql/streams/job-stream.ts';
import { followJobs } from '../../src/graphql/streams/jobs-stream.ts';
import type { Snapshot } from '../../src/graphql/streams/merge-live.ts';
import { createWaiter } from '../../src/jobs/waiter.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { type LossyWire, lossyWire } from '../events/lossy-wire.ts';
import { progressOf } from '../events/messages.ts';
import { forwarding } from '../events/redis-rig.ts';
import { FleetRig, type Replica, TERM } from './fleet-rig.ts';

const JOBS = 40;
let rig: FleetRig;
let leader: Replica;
/** Ask for cancels, and watch. */
let apis: Replica[];
let wires: LossyWire[];

beforeEach(async () => {
  rig = await FleetRig.open('Postgres');
  leader = await rig.replica();
  wires = [1, 2].map((seed) => lossyWire({ seed, lost: 0.3, late: 0.2 }));
  apis = await Promise.all(wires.map(({ through }) => rig.replica({ through })));
});
afterEach(() => rig.close());

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const seen: T[] = [];
  for await (const value of values) seen.push(value);
  return seen;
}

function say(job: Job, seq: number, fraction: number): void {
  leader.bus.publish({
    kind: 'job',
    jobId: job.id,
    tenant: job.tenant,
    seq,
    at: Date.now(),
    change: { type: 'progress', progress: progressOf(fraction) },
  });
}

const fault: Fault = { code: 'NODE_FAILED', message: 'x', nodeId: null, nodeType: null, retryable: true };

/** A whole life: some are lost and run again, some fail, some are canceled by an api replica in the middle of it. */
async function live(job: Job, index: number): Promise<void> {
  let { attemptId, seq } = await rig.run(leader, job);
  for (let step = 1; step <= 10; step++) say(job, seq, step / 20);
  if (index % 4 === 1) {
    await leader.recorder.lose(attemptId, TERM, fault);
    // said before it was known
    say(job, seq, 0.9);
    ({ attemptId, seq } = await rig.run(leader, job));
    say(job, seq, 0.1);
  }
  if (index % 4 === 2) {
    await apis[index % 2]?.recorder.cancel(defaultViewer, job.id);
    say(job, seq, 0.8);
    await leader.recorder.closeCanceled(attemptId, TERM);
    return;
  }
  await leader.recorder.collecting(attemptId, TERM);
  if (index % 4 === 3) await leader.recorder.fail(attemptId, TERM, fault, { kind: 'final' });
  else await leader.recorder.complete(attemptId, TERM, 5);
}

function expectOneEnd(seen: readonly Snapshot[]): void {
  expect(seen.filter(({ status }) => hasEnded(status))).toHaveLength(1);
  expect(hasEnded(seen.at(-1)?.status ?? 'PENDING')).toBe(true);
  for (let n = 1; n < seen.length; n++) {
    const [before, after] = [seen[n - 1] as Snapshot, seen[n] as Snapshot];
    expect(after.seq).toBeGreaterThanOrEqual(before.seq);
    if (before.attemptCount !== after.attemptCount || after.status !== 'PROCESSING') continue;
    expect(after.live.progress?.fraction ?? 0).toBeGreaterThanOrEqual(before.live.progress?.fraction ?? 0);
  }
  // what the lost attempt said must not show in the next one
  const second = seen.filter(({ status, attemptCount }) => status === 'PROCESSING' && attemptCount === 2);
  for (const { live: shown } of second) expect(shown.progress?.fraction ?? 0).toBeLessThan(0.8);
}

const KEPT = ['queued', 'started', 'output', 'retried', 'canceled', 'finished'];

function expectEveryEvent(seen: readonly JobEventView[]): void {
  const kept = seen.map(({ event }) => event.type).filter((type) => KEPT.includes(type));
  const lives = [
    ['queued', 'started', 'finished'],
    ['queued', 'started', 'canceled'],
    ['queued', 'started', 'retried', 'started', 'finished'],
  ];
  expect(lives).toContainEqual(kept);
  expect(seen.at(-1)?.event.type).toBe(kept.at(-1));
}

describe('a bus that loses 30 % of its messages and shuffles the rest (F34)', () => {
  it('lets every subscriber of a job see its end once, and progress that never falls', async () => {
    const jobs = await Promise.all(Array.from({ length: JOBS }, () => rig.queue(leader)));
    const watching = jobs.flatMap(({ id }) => apis.map(({ context }) => all(followJob(context, id))));
    await Promise.all(jobs.map(live));
    for (const seen of await Promise.all(watching)) expectOneEnd(seen);
    for (const wire of wires) expect(wire.lost()).toBeGreaterThan(JOBS);
    expect(apis.map(({ bus }) => bus.topicCount)).toEqual([0, 0]);
  }, 60_000);

  it('lets every subscriber of events see each kept event once, in order, up to the last', async () => {
    const jobs = await Promise.all(Array.from({ length: JOBS }, () => rig.queue(leader)));
    const watching = jobs.flatMap(({ id }) =>
      apis.map(({ context }) => all(followJobEvents(context, id, 0))),
    );
    await Promise.all(jobs.map(live));
    for (const seen of await Promise.all(watching)) expectEveryEvent(seen);
  }, 60_000);

  it('lets a subscriber of many jobs see each of them end once', async () => {
    const ends: Map<string, number>[] = [];
    const jobs = apis.map(({ context }) => followJobs(context, {}));
    const watching = jobs.map(async (stream) => {
      const seen = new Map<string, number>();
      ends.push(seen);
      while (seen.size < JOBS) {
        const { value, done } = await stream.next();
        if (done) throw new Error('the stream ended');
        if (hasEnded(value.status)) seen.set(value.id, (seen.get(value.id) ?? 0) + 1);
      }
    });
    const queued = await Promise.all(Array.from({ length: JOBS }, () => rig.queue(leader)));
    await Promise.all(queued.map(live));
    await Promise.all(watching);
    for (const seen of ends) expect([...seen.values()]).toEqual(Array.from({ length: JOBS }, () => 1));
    await Promise.all(jobs.map((stream) => stream.return?.()));
  }, 60_000);

  it('answers whoever waits for the end of a job', async () => {
    const jobs = await Promise.all(Array.from({ length: JOBS }, () => rig.queue(leader)));
    const [api] = apis as [Replica, Replica];
    const { store } = api.context.services;
    const waiter = createWaiter({ store, bus: api.bus, clock: systemClock });
    const waiting = jobs.map(({ id }) => waiter.untilEnded(defaultViewer, id, 60_000));
    await Promise.all(jobs.map(live));
    for (const job of await Promise.all(waiting)) expect(hasEnded(job?.status ?? 'PENDING')).toBe(true);
  }, 70_000);
});

describe('a publisher that dies between its commit and its message (F34)', () => {
  it('leaves no subscriber waiting: its silence is noticed, and the row tells', async () => {
    let alive = true;
    const mortal = await rig.replica({
      through: (wire) => ({ ...forwarding(wire), publish: (text) => alive && wire.publish(text) }),
    });
    const api = await rig.replica();
    const job = await rig.queue(mortal);
    const { attemptId } = await rig.run(mortal, job);
    const seen = followJob(api.context, job.id);
    expect((await seen.next()).value?.status).toBe('PROCESSING');
    await mortal.recorder.collecting(attemptId, TERM);
    alive = false;
    await mortal.recorder.complete(attemptId, TERM, 5);
    expect((await all(seen)).map(({ status }) => status)).toEqual(['COMPLETED']);
  });
});
