import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Survey } from '../../src/domain/survey.ts';
import { MemoryBus } from '../../src/events/memory-bus.ts';
import { PlaceBoard } from '../../src/graphql/place-board.ts';
import type { Waiting } from '../../src/graphql/places.ts';
import { Gate } from '../../src/lib/gate.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { putJob } from '../support/job-rows.ts';
import { openTempStore, type TempStore } from '../support/temp-store.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** Counts how often the picture is fetched. */
class CountingBus extends MemoryBus {
  reads = 0;
  override latestSurvey(): Promise<Survey | null> {
    this.reads++;
    return super.latestSurvey();
  }
}

let temp: TempStore;
let bus: CountingBus;
let clock: VirtualClock;
let board: PlaceBoard;
beforeEach(async () => {
  temp = await openTempStore();
  clock = new VirtualClock();
  bus = new CountingBus();
  await bus.start();
  const parts = { store: temp.store, bus, clock, logger: createLogger('silent') };
  board = new PlaceBoard(parts, new Gate(1), new AbortController().signal);
});
afterEach(async () => {
  await bus.stop();
  await temp.close();
});

/** Waits in the rows, `age` ms after the picture. */
async function waiting(id: string, priority: number, age: number): Promise<Waiting> {
  const createdAt = clock.now() + age;
  await putJob(temp.store.db, { id, priority, createdAt });
  return { id, tenant: 'a', priority, createdAt, needsKey: 'k' };
}

function picture(differences: Partial<Survey> = {}): Survey {
  return {
    at: clock.now(),
    front: [],
    streams: [],
    stranded: [],
    capped: [],
    drainedAt: null,
    ...differences,
  };
}

/** The last of so many that wait. */
function streamOf(jobs: number, tenant = 'a') {
  const last = { createdAt: clock.now(), rank: jobs, startsAt: clock.now() + 9000 };
  return { tenant, priority: 5, marks: [last] };
}

describe('places in the queue', () => {
  it('of jobs newer than the picture are counted by rows, each its own', async () => {
    bus.publishSurvey(picture());
    const jobs = [
      await waiting('low', 1, 10),
      await waiting('middle', 5, 20),
      await waiting('high', 10, 30),
      await waiting('equal', 5, 40),
    ];
    expect(await board.standings(jobs)).toEqual([4, 2, 1, 3].map((position) => ({ position })));
  });

  it('of newer jobs start when the one would that stood there, unless nobody can run them', async () => {
    const known = await waiting('known', 5, 0);
    const startsAt = clock.now() + 7000;
    bus.publishSurvey(
      picture({ front: [['known', startsAt]], streams: [streamOf(1)], stranded: ['nowhere'] }),
    );
    const urgent = await waiting('urgent', 10, 10);
    expect(await board.standings([urgent, known])).toEqual([
      { position: 1, waitMs: 7000 },
      { position: 1, waitMs: 7000 },
    ]);
    expect(await board.standings([{ ...urgent, needsKey: 'nowhere' }])).toEqual([
      { position: 1, waitMs: null },
    ]);
  });

  it('of newer jobs are behind the last of their stream where too many wait to be counted', async () => {
    bus.publishSurvey(picture({ streams: [streamOf(5001)] }));
    expect(await board.standings([await waiting('newest', 5, 10)])).toEqual([
      { position: 5002, waitMs: 9000 },
    ]);
  });

  it('are none of a job that the picture does not know and that has left the queue', async () => {
    bus.publishSurvey(picture());
    const gone = { id: 'gone', tenant: 'a', priority: 5, createdAt: clock.now(), needsKey: 'k' };
    expect(await board.standings([gone])).toEqual([null]);
  });

  it('are told by one picture for half a second, however many ask', async () => {
    const known = await waiting('known', 5, 0);
    const ask = () => board.standings([known]);
    const front = (position: number): Survey['front'] =>
      ['first', 'second', 'known'].slice(3 - position).map((id) => [id, null]);
    bus.publishSurvey(picture({ front: front(3) }));
    expect(await Promise.all([ask(), ask(), ask()])).toEqual(
      Array.from({ length: 3 }, () => [{ position: 3, waitMs: null }]),
    );
    expect(bus.reads).toBe(1);
    await clock.advance(500);
    bus.publishSurvey(picture({ front: front(2) }));
    expect(await ask()).toEqual([{ position: 2, waitMs: null }]);
    expect(bus.reads).toBe(2);
  });

  it('come with the reason of the tenant itself, which others are not told', async () => {
    const own = await waiting('own', 5, 0);
    const foreign = { ...(await waiting('foreign', 5, 0)), tenant: 'b' };
    const told: (string | null)[] = [];
    const unwatch = [own, foreign].map((job, index) =>
      board.watch(job, ({ blockedBy }) => {
        told[index] = blockedBy;
      }),
    );
    await expect.poll(() => bus.topicCount).toBeGreaterThan(0);
    bus.publishSurvey(
      picture({
        front: [
          ['own', null],
          ['foreign', null],
        ],
        capped: [['a', 2]],
      }),
    );
    await expect.poll(() => told).toEqual(['as many jobs of its owner run at once as may (2)', null]);
    for (const end of unwatch) end();
  });

  it('are told of each new picture to those who watch, at once', async () => {
    const known = await waiting('known', 5, 0);
    const told: number[] = [];
    const unwatch = board.watch(known, ({ position }) => told.push(position));
    const publish = async (front: Survey['front']) => {
      bus.publishSurvey(picture({ front }));
      await expect.poll(() => told.length).toBeGreaterThan(0);
    };
    // the subscription is open before anything is published
    await expect.poll(() => bus.topicCount).toBeGreaterThan(0);
    await publish([['known', null]]);
    expect(told).toEqual([1]);
    await clock.advance(2000);
    told.length = 0;
    // asked just before: what is kept is older than what is announced
    await board.standings([known]);
    await publish([
      ['other', null],
      ['known', null],
    ]);
    expect(told).toEqual([2]);
    unwatch();
  });
});
