/** Subscribers while Redis is away: gaps make them read rows every few seconds; what they are told is what has changed. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Job } from '../../src/domain/job.ts';
import { defaultViewer } from '../../src/domain/viewer.ts';
import { followInstances } from '../../src/graphql/streams/fleet-streams.ts';
import { followJobEvents } from '../../src/graphql/streams/job-events-stream.ts';
import { followJob } from '../../src/graphql/streams/job-stream.ts';
import { followJobs } from '../../src/graphql/streams/jobs-stream.ts';
import { removeInstance, saveHealth, upsertConfigured } from '../../src/store/instances.ts';
import { eventually } from '../support/eventually.ts';
import { hurriedClock } from '../support/hurried-clock.ts';
import { FleetRig, type Replica, TERM } from './fleet-rig.ts';

/** Nobody listens there. */
const NO_REDIS = 'redis://127.0.0.1:1';
let rig: FleetRig;
let leader: Replica;
let api: Replica;
beforeEach(async () => {
  rig = await FleetRig.open('Postgres', { url: NO_REDIS, clock: hurriedClock(20) });
  [leader, api] = await Promise.all([rig.replica(), rig.replica()]);
});
afterEach(() => rig.close());

/** Reads along; `values` grows while it does. */
function read<T>(stream: AsyncIterableIterator<T>): { readonly values: T[]; readonly done: Promise<void> } {
  const values: T[] = [];
  const done = (async () => {
    for await (const value of stream) values.push(value);
  })();
  return { values, done };
}

async function finish(attemptId: string): Promise<void> {
  await leader.recorder.collecting(attemptId, TERM);
  await leader.recorder.complete(attemptId, TERM, 5);
}

/** That subscribers were told of so many gaps from now on. */
async function gaps(count: number): Promise<void> {
  const witness = await api.bus.subscribe([]);
  for (let n = 0; n < count; n++) await witness.next();
  witness.close();
}

describe('without Redis (F33)', () => {
  it('a subscriber of a job sees each change once, and its end', async () => {
    const job = await rig.queue(leader);
    const seen = read(followJob(api.context, job.id));
    await eventually(() => seen.values.length === 1);
    const { attemptId } = await rig.run(leader, job);
    await eventually(() => seen.values.at(-1)?.status === 'PROCESSING');
    await gaps(2);
    await finish(attemptId);
    await seen.done;
    expect(seen.values.map(({ status }) => status)).toEqual(['PENDING', 'PROCESSING', 'COMPLETED']);
  });

  it('a subscriber of events sees each kept event once, and ends when the job is deleted', async () => {
    const [ending, deleted] = [await rig.queue(leader), await rig.queue(leader)];
    const seen = read(followJobEvents(api.context, ending.id, 0));
    const other = read(followJobEvents(api.context, deleted.id, 0));
    const { attemptId } = await rig.run(leader, ending);
    await gaps(2);
    await finish(attemptId);
    await leader.context.services.store.db.deleteFrom('jobs').where('id', '=', deleted.id).execute();
    await Promise.all([seen.done, other.done]);
    expect(seen.values.map(({ event }) => event.type)).toEqual(['queued', 'started', 'finished']);
    expect(other.values.map(({ event }) => event.type)).toEqual(['queued']);
  });

  it('a subscriber of many jobs is told again of no job that goes on as it was', async () => {
    const [runs, ends] = [await rig.queue(leader), await rig.queue(leader)];
    await rig.run(leader, runs);
    const { attemptId } = await rig.run(leader, ends);
    const stream = followJobs(api.context, {});
    const seen = read(stream);
    await eventually(() => seen.values.length === 2);
    await gaps(2);
    await finish(attemptId);
    const came: Job = await rig.queue(leader);
    await eventually(() => seen.values.some(({ id }) => id === came.id));
    await gaps(2);
    const told = (id: string): string[] =>
      seen.values.filter((job) => job.id === id).map(({ status }) => status);
    expect(told(runs.id)).toEqual(['PROCESSING']);
    expect(told(ends.id)).toEqual(['PROCESSING', 'COMPLETED']);
    expect(told(came.id)).toEqual(['PENDING']);
    await stream.return?.();
    await seen.done;
  });

  it('a subscriber of the instances sees each change once, and the one that left', async () => {
    const { db } = leader.context.services.store;
    const extra = { id: randomUUID(), name: 'extra', url: 'http://127.0.0.1:2', capacity: 1 };
    await upsertConfigured(db, extra, Date.now());
    const stream = followInstances(api.context);
    const seen = read(stream);
    await eventually(() => seen.values.length === 2);
    await saveHealth(db, extra.id, { health: 'HEALTHY' }, Date.now() + 1);
    await eventually(() => seen.values.some(({ health }) => health === 'HEALTHY'));
    await removeInstance(db, extra.id, Date.now() + 2);
    await eventually(() => seen.values.some(({ removedAt }) => removedAt !== null));
    await gaps(2);
    const told = seen.values.filter(({ id }) => id === extra.id);
    expect(told.map(({ health, removedAt }) => [health, removedAt !== null])).toEqual([
      ['UNKNOWN', false],
      ['HEALTHY', false],
      ['HEALTHY', true],
    ]);
    expect(seen.values).toHaveLength(4);
    await stream.return?.();
    await seen.done;
  });

  it('a cancel asked for on one replica is seen on another', async () => {
    const job = await rig.queue(leader);
    const seen = read(followJob(api.context, job.id));
    await eventually(() => seen.values.length === 1);
    await leader.recorder.cancel(defaultViewer, job.id);
    await seen.done;
    expect(seen.values.at(-1)?.status).toBe('CANCELED');
  });
});
