/** Whatever is asked of the recorder in whatever order, its rows obey the state table, the event log is whole, and the facts say what the rows say. */
import fc from 'fast-check';
import { afterEach, expect, it } from 'vitest';
import { fault } from '../../src/domain/fault.ts';
import type { AttemptState, JobStatus } from '../../src/domain/job.ts';
import { attemptMayBecome, hasEnded, jobMayBecome } from '../../src/domain/job-states.ts';
import type { Recorder } from '../../src/jobs/recorder.ts';
import { attemptsOfJobs, claimOpenAttempts } from '../../src/store/attempts.ts';
import { eventsAfter } from '../../src/store/job-events.ts';
import { findJobs } from '../../src/store/jobs.ts';
import { outputsOfJobs } from '../../src/store/outputs.ts';
import { deadlocksOf } from '../support/deadlocks.ts';
import { newJob } from '../support/new-job.ts';
import { ENGINES } from '../support/temp-store.ts';
import { factsOfRows, takeAllFacts } from './facts-of-rows.ts';
import { alice, assignment, type Bench, imageOutput, openBench } from './recorder-bench.ts';

let bench: Bench;
/** On Postgres those of two processes. */
let recorders: Recorder[];
afterEach(async () => {
  await bench.close();
  if (bench.url) expect(await deadlocksOf(bench.url)).toBe(0);
});

/** Steps on the way to completion come more often, or hardly a job would get there. */
const what = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('assign', 'collecting', 'complete') },
  {
    weight: 1,
    arbitrary: fc.constantFrom('running', 'output', 'retry', 'lose', 'closeCanceled', 'takeOver'),
  },
  { weight: 1, arbitrary: fc.constantFrom('giveUp', 'cancel', 'expire', 'output', 'running') },
);
const step = fc.record({
  what,
  job: fc.nat({ max: 2 }),
  slot: fc.nat({ max: 1 }),
  /** Which attempt of the job, counted from its newest: older ones are stale writers. */
  attempt: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constant(1) }),
  /** Terms behind the leader's. */
  behind: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constant(1) }),
  /** Not awaited before the next step begins. */
  together: fc.boolean(),
  by: fc.nat({ max: 1 }),
  /** Passes before it, and is told as time on the instance. */
  ms: fc.nat({ max: 5000 }),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface World {
  readonly jobs: string[];
  readonly attempts: string[][];
  term: number;
}

async function perform(world: World, { what, job, slot, attempt, behind, by, ms }: Step): Promise<void> {
  const { ids, clock, store } = bench;
  const recorder = recorders[by % recorders.length] ?? bench.recorder;
  const jobId = world.jobs[job] ?? '';
  const own = world.attempts[job] ?? [];
  await clock.advance(ms);
  const term = world.term - behind;
  const attemptId = own[own.length - 1 - attempt] ?? 'none';
  switch (what) {
    case 'assign': {
      const id = ids();
      if (await recorder.assign(assignment(jobId, id, slot, world.term))) own.push(id);
      return;
    }
    case 'running':
    case 'collecting':
      return void (await recorder[what](attemptId, term));
    case 'output':
      return void (await recorder.output(attemptId, term, imageOutput(`s${job}`, slot)));
    case 'complete':
      return void (await recorder.complete(attemptId, term, ms));
    case 'retry': {
      const decision = { kind: 'retry', notBefore: clock.now(), delayMs: 0 } as const;
      return void (await recorder.fail(attemptId, term, fault('NODE_FAILED'), decision, ms));
    }
    case 'giveUp':
      return void (await recorder.fail(attemptId, term, fault('TIMEOUT'), { kind: 'final' }));
    case 'lose':
      return void (await recorder.lose(attemptId, term, fault('INSTANCE_LOST'), undefined, ms));
    case 'cancel':
      return void (await recorder.cancel(alice, jobId));
    case 'closeCanceled':
      return void (await recorder.closeCanceled(attemptId, term, ms));
    case 'expire':
      return void (await recorder.expire(jobId));
    case 'takeOver':
      world.term += 1;
      return void (await claimOpenAttempts(store.db, world.term));
  }
}

interface Seen {
  readonly jobs: Map<string, JobStatus>;
  readonly attempts: Map<string, AttemptState>;
}

/** One status to another is allowed also through steps in between that were not looked at. */
function reachable<S extends string>(
  from: S,
  to: S,
  may: (a: S, b: S) => boolean,
  all: readonly S[],
): boolean {
  const reached = new Set<S>([from]);
  for (const state of reached) for (const next of all) if (may(state, next)) reached.add(next);
  return reached.has(to);
}
const JOB_STATUSES: JobStatus[] = ['PENDING', 'PROCESSING', 'COMPLETED', 'FAILED', 'CANCELED'];
const ATTEMPT_STATES: AttemptState[] = [
  'SUBMITTING',
  'RUNNING',
  'COLLECTING',
  'SUCCEEDED',
  'FAILED',
  'CANCELED',
  'LOST',
];

async function check(world: World, seen: Seen): Promise<void> {
  const { db } = bench.store;
  const jobs = await findJobs(db, alice, world.jobs);
  const attempts = await attemptsOfJobs(db, alice, world.jobs);
  const outputs = await outputsOfJobs(db, alice, world.jobs);
  expect(jobs).toHaveLength(world.jobs.length);
  for (const job of jobs) {
    const before = seen.jobs.get(job.id) ?? 'PENDING';
    expect(reachable(before, job.status, jobMayBecome, JOB_STATUSES)).toBe(true);
    seen.jobs.set(job.id, job.status);

    const events = await eventsAfter(db, alice, job.id, 0, 1000);
    expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1));
    expect(job.seq).toBe(events.length);
    const terminal = events.filter(({ event }) => event.type === 'finished' || event.type === 'canceled');
    expect(terminal).toHaveLength(hasEnded(job.status) ? 1 : 0);
    if (hasEnded(job.status)) expect(events.at(-1)).toEqual(terminal[0]);

    const own = attempts.get(job.id) ?? [];
    for (const attempt of own) {
      const earlier = seen.attempts.get(attempt.id) ?? 'SUBMITTING';
      expect(reachable(earlier, attempt.state, attemptMayBecome, ATTEMPT_STATES)).toBe(true);
      seen.attempts.set(attempt.id, attempt.state);
    }
    const open = own.filter((attempt) => attempt.finishedAt === null);
    expect(own.map((attempt) => attempt.number)).toEqual(own.map((_, index) => index + 1));
    expect(own).toHaveLength(job.attemptCount);
    expect(own.filter((attempt) => attempt.charged)).toHaveLength(job.chargedAttempts);
    if (job.status === 'PROCESSING') expect(open).toHaveLength(1);
    else expect(open.length).toBeLessThanOrEqual(job.status === 'CANCELED' ? 1 : 0);
    const succeeded = own.filter((attempt) => attempt.state === 'SUCCEEDED');
    expect(succeeded).toHaveLength(job.status === 'COMPLETED' ? 1 : 0);
    for (const output of outputs.get(job.id) ?? []) expect(output.attemptId).toBe(own.at(-1)?.id);
  }
  const open = [...attempts.values()].flat().filter((attempt) => attempt.finishedAt === null);
  expect(new Set(open.map((attempt) => attempt.slot)).size).toBe(open.length);
}

async function checkFacts(world: World): Promise<void> {
  const { db } = bench.store;
  const jobs = await findJobs(db, alice, world.jobs);
  const attempts = await attemptsOfJobs(db, alice, world.jobs);
  expect(await takeAllFacts(bench.store)).toEqual(factsOfRows(jobs, attempts));
}

it.each(ENGINES)(
  'keeps one terminal event, last, a gapless event log, one attempt per slot, one accepted result and true facts on %s',
  async (engine) => {
    bench = await openBench(engine);
    recorders = [bench.recorder];
    if (engine === 'Postgres') recorders.push(await bench.anotherRecorder());
    const ends = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), async (steps) => {
        const world: World = { jobs: [], attempts: [[], [], []], term: 10 };
        for (let n = 0; n < 3; n++) {
          const id = bench.ids();
          world.jobs.push(id);
          await bench.recorder.queue(alice, newJob(id, { deadlineAt: bench.clock.now() }));
        }
        const seen: Seen = { jobs: new Map(), attempts: new Map() };
        let underWay: Promise<void>[] = [];
        for (const each of steps) {
          underWay.push(perform(world, each));
          if (each.together) continue;
          await Promise.all(underWay);
          underWay = [];
          await check(world, seen);
        }
        await Promise.all(underWay);
        await check(world, seen);
        await checkFacts(world);
        for (const status of seen.jobs.values()) ends.add(status);
        await freeTheSlots(world);
        await takeAllFacts(bench.store);
      }),
      // asking Postgres takes ten times as long
      { numRuns: engine === 'SQLite' ? 100 : 15 },
    );
    // Else the sequences were too tame to prove anything.
    expect(ends).toEqual(new Set(JOB_STATUSES));
  },
  60_000,
);

/** Runs share one database, so none leaves a slot taken. */
async function freeTheSlots(world: World): Promise<void> {
  for (const jobId of world.jobs) await bench.recorder.cancel(alice, jobId);
  for (const attempt of await claimOpenAttempts(bench.store.db, world.term + 1)) {
    await bench.recorder.closeCanceled(attempt.id, attempt.term);
  }
}
