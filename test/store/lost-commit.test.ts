/**
 * The answer to a COMMIT is lost: what was written stands, and its writer does not know. Each write of the recorder is
 * repeated as its caller repeats it, and must end in the same rows as if nothing had happened.
 */
import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fault } from '../../src/domain/fault.ts';
import type { EventBus } from '../../src/events/bus.ts';
import { createRecorder, type Recorder } from '../../src/jobs/recorder.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { storeTrouble } from '../../src/store/retryable.ts';
import { alice, assignment, imageOutput, TERM } from '../jobs/recorder-bench.ts';
import { CommitThief } from '../support/commit-thief.ts';
import { newJob } from '../support/new-job.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const TABLES = [
  ...['jobs', 'job_graphs', 'job_files', 'job_labels', 'job_events', 'attempts', 'outputs', 'needs'],
  ...['idempotency_keys', 'dropped_blobs', 'metric_outbox'],
] as const;

const JOB = 'job-1';
const ATTEMPT = 'attempt-1';

interface World {
  readonly store: Store;
  readonly recorder: Recorder;
  readonly clock: VirtualClock;
  readonly thief: CommitThief;
  /** How often everybody was told to look at the rows. */
  missed: number;
  rows(): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

async function createWorld(database: TestDatabase): Promise<World> {
  const { thief, url } = await CommitThief.before(database.url);
  const store = await openStore({ url, dataDir: '', logger: createLogger('silent') });
  const clock = new VirtualClock();
  const bus = {
    publish: () => undefined,
    forget: () => undefined,
    missed: () => {
      world.missed++;
    },
  } as unknown as EventBus;
  let made = 0;
  const ids = (): string => `made-${++made}`;
  const world: World = {
    store,
    recorder: createRecorder({ store, bus, clock, ids, logger: createLogger('silent') }),
    clock,
    thief,
    missed: 0,
    async rows() {
      const all: Record<string, unknown> = {};
      for (const table of TABLES) {
        const { rows } = await sql<{ row: unknown }>`
          select to_jsonb(t) as row from ${sql.table(table)} t order by to_jsonb(t)::text`.execute(store.db);
        all[table] = rows.map(({ row }) => row);
      }
      return all;
    },
    async close() {
      await store.stop();
      await thief[Symbol.asyncDispose]();
    },
  };
  return world;
}

const key = { key: 'once', bodyHash: 'h' };
const queue = ({ recorder }: World, id = JOB) =>
  recorder.queue(alice, newJob(id, { labels: { a: 1 }, deadlineAt: 1_700_000_005_000 }), key);
const assign = ({ recorder }: World) => recorder.assign(assignment(JOB, ATTEMPT));
const running = ({ recorder }: World) => recorder.running(ATTEMPT, TERM);
const output = ({ recorder }: World) => recorder.output(ATTEMPT, TERM, imageOutput('a'.repeat(64)));
const collecting = ({ recorder }: World) => recorder.collecting(ATTEMPT, TERM);
const complete = ({ recorder }: World) => recorder.complete(ATTEMPT, TERM, 5);
const cancel = ({ recorder }: World) => recorder.cancel(alice, JOB);
const remove = ({ recorder }: World) => recorder.remove(alice, JOB);

interface Case {
  readonly name: string;
  readonly before: readonly ((world: World) => Promise<unknown>)[];
  readonly write: (world: World) => Promise<unknown>;
  /** Default: the same again. */
  readonly again?: (world: World) => Promise<unknown>;
  /** What the repetition is told. */
  readonly told: unknown;
}

const RUNNING = [queue, assign, running];
const CASES: readonly Case[] = [
  {
    name: 'queue, repeated by its key under a fresh id',
    before: [],
    write: queue,
    again: (world) => queue(world, 'job-2'),
    told: { kind: 'existing', job: { id: JOB } },
  },
  { name: 'assign', before: [queue], write: assign, told: null },
  { name: 'running', before: [queue, assign], write: running, told: false },
  { name: 'output', before: RUNNING, write: output, told: { id: 'made-3' } },
  { name: 'collecting', before: RUNNING, write: collecting, told: false },
  { name: 'complete', before: [...RUNNING, output, collecting], write: complete, told: null },
  {
    name: 'fail for good',
    before: [...RUNNING, output],
    write: ({ recorder }) => recorder.fail(ATTEMPT, TERM, fault('NODE_FAILED'), { kind: 'final' }, 5),
    told: null,
  },
  {
    name: 'fail for now',
    before: [...RUNNING, output],
    write: ({ recorder }) =>
      recorder.fail(ATTEMPT, TERM, fault('TIMEOUT'), { kind: 'retry', notBefore: 5, delayMs: 5 }),
    told: null,
  },
  {
    name: 'lose',
    before: [...RUNNING, output],
    write: ({ recorder }) => recorder.lose(ATTEMPT, TERM, fault('INSTANCE_LOST')),
    told: null,
  },
  { name: 'cancel', before: RUNNING, write: cancel, told: { kind: 'already', job: { id: JOB } } },
  {
    name: 'closeCanceled',
    before: [...RUNNING, cancel],
    write: ({ recorder }) => recorder.closeCanceled(ATTEMPT, TERM),
    told: false,
  },
  {
    name: 'expire',
    before: [queue, ({ clock }) => clock.advance(10_000)],
    write: ({ recorder }) => recorder.expire(JOB, 'room'),
    told: null,
  },
  {
    name: 'remove',
    before: [...RUNNING, output, collecting, complete],
    write: remove,
    told: { kind: 'not-found' },
  },
];

describe('a write whose COMMIT got no answer (F32)', () => {
  let database: TestDatabase;
  let world: World;
  beforeEach(async () => {
    database = await createTestDatabase();
    world = await createWorld(database);
  });
  afterEach(async () => {
    await world.close();
    await database.drop();
  });

  /** The same in a world without faults. */
  async function undisturbed({ before, write }: Case): Promise<unknown> {
    const other = await createTestDatabase();
    const calm = await createWorld(other);
    try {
      for (const step of [...before, write]) await step(calm);
      return await calm.rows();
    } finally {
      await calm.close();
      await other.drop();
    }
  }

  it.each(CASES)('$name: stands, and its repetition changes nothing (F32)', async (one) => {
    for (const step of one.before) await step(world);
    world.thief.arm();
    const failure = await one.write(world).then(
      () => 'it was acknowledged',
      (error: unknown) => error,
    );
    expect(storeTrouble(failure)).toBe('unavailable');
    expect(world.thief.stolen).toBe(1);
    // nobody was told what happened, so everybody is told to look
    expect(world.missed).toBe(1);
    const repeated = await (one.again ?? one.write)(world);
    if (one.told === null || typeof one.told === 'boolean') expect(repeated).toBe(one.told);
    else expect(repeated).toMatchObject(one.told as object);
    expect(await world.rows()).toEqual(await undisturbed(one));
  });

  it('tells everybody once more when the end of an attempt turns out to be written (F32)', async () => {
    for (const step of [...RUNNING, collecting]) await step(world);
    world.thief.arm();
    await complete(world).catch(() => undefined);
    expect(world.missed).toBe(1);
    await complete(world);
    expect(world.missed).toBe(2);
    await complete(world);
    expect(world.missed).toBe(2);
  });

  it('tells nobody to look when the write certainly did not take place (F31)', async () => {
    await queue(world);
    await world.thief[Symbol.asyncDispose]();
    await expect(assign(world)).rejects.toThrow();
    expect(world.missed).toBe(0);
  });
});
