/** The judge is judged: it finds nothing in a true history, and each kind of lie in a doctored one. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fault } from '../../src/domain/fault.ts';
import type { Db } from '../../src/store/open.ts';
import { alice, assignment, type Bench, imageOutput, openBench, TERM } from '../jobs/recorder-bench.ts';
import type { Evidence, SeenEvent } from './history/evidence.ts';
import { assertHistory, checkHistory } from './history-checker.ts';

/** Jobs of every kind of end: done at the second try, done at once, failed, canceled while it ran and while it waited. */
interface Story {
  readonly lostFirst: { readonly jobId: string; readonly attempts: readonly [string, string] };
  readonly done: { readonly jobId: string; readonly attemptId: string };
  readonly failed: { readonly jobId: string; readonly attemptId: string };
  readonly canceled: { readonly jobId: string; readonly attemptId: string };
  readonly neverRan: string;
}

let bench: Bench;
let story: Story;
beforeEach(async () => {
  bench = await openBench();
  story = await tell(bench);
});
afterEach(() => bench.close());

async function tell({ recorder, ids, ...rest }: Bench): Promise<Story> {
  const first = await rest.started(0, { maxAttempts: 1, labels: { a: 'b' } });
  await recorder.running(first.attemptId, TERM);
  await recorder.output(first.attemptId, TERM, imageOutput('s1'));
  await recorder.lose(first.attemptId, TERM, fault('INSTANCE_CRASHED'));
  const second = ids();
  await recorder.assign(assignment(first.jobId, second));
  await recorder.output(second, TERM, imageOutput('s1'));
  await recorder.collecting(second, TERM);
  await recorder.complete(second, TERM, 5);
  const done = await rest.completed([imageOutput('s2'), imageOutput('s3', 1)]);
  const failed = await rest.started();
  await recorder.fail(failed.attemptId, TERM, fault('NODE_FAILED'), { kind: 'final' });
  const canceled = await rest.started();
  await recorder.cancel(alice, canceled.jobId);
  await recorder.closeCanceled(canceled.attemptId, TERM);
  const neverRan = await rest.waiting();
  await recorder.cancel(alice, neverRan);
  const lostFirst = { jobId: first.jobId, attempts: [first.attemptId, second] } as const;
  return { lostFirst, done, failed, canceled, neverRan };
}

function runsOf({ lostFirst, done, failed, canceled }: Story): [job: string, attempt: string][] {
  return [
    [lostFirst.jobId, lostFirst.attempts[0]],
    [lostFirst.jobId, lostFirst.attempts[1]],
    [done.jobId, done.attemptId],
    [failed.jobId, failed.attemptId],
    [canceled.jobId, canceled.attemptId],
  ];
}

const posted = (job: string, attempt: string) => ({
  promptId: attempt,
  at: 0,
  number: 0,
  tag: { fleet: 'f', job, attempt },
  answered: true,
});
const ran = (promptId: string) => ({
  promptId,
  number: 0,
  clientId: null,
  startedAt: 0,
  endedAt: 1,
  outcome: 'success' as const,
});

/** What a subscriber to the second job saw: live news between kept events. */
const seen = (jobId: string): SeenEvent[] => [
  { jobId, seq: 1, type: 'JobQueued', status: 'PENDING' },
  { jobId, seq: 2, type: 'JobStarted', status: 'PROCESSING' },
  { jobId, seq: 2, type: 'JobProgressed', status: 'PROCESSING' },
  { jobId, seq: 3, type: 'OutputReady', status: 'PROCESSING' },
  { jobId, seq: 4, type: 'OutputReady', status: 'PROCESSING' },
  { jobId, seq: 5, type: 'JobFinished', status: 'COMPLETED' },
];

function evidence(): Evidence {
  const runs = runsOf(story);
  return {
    acknowledged: [story.lostFirst, story.done, story.failed, story.canceled].map(({ jobId }) => jobId),
    instances: [
      {
        name: 'gpu-1',
        prompts: [
          ...runs.map(([job, attempt]) => posted(job, attempt)),
          { ...posted('', 'canary'), tag: { fleet: 'f', canary: true } },
          { ...posted('', 'of-a-person'), tag: null },
        ],
        executions: runs.map(([, attempt]) => ran(attempt)),
      },
    ],
    subscribers: [{ name: 'web', events: seen(story.done.jobId) }],
    bounds: [{ what: 'rss', measured: 10, bound: 10 }],
  };
}

/** Invariants that are found broken. */
async function broken(changed: Partial<Evidence> = {}): Promise<string[]> {
  const violations = await checkHistory(bench.store.db, { ...evidence(), ...changed });
  return [...new Set(violations.map(({ invariant }) => invariant))].sort();
}

it('finds nothing wrong with what the recorder wrote', async () => {
  expect(await checkHistory(bench.store.db, evidence())).toEqual([]);
  await expect(assertHistory(bench.store.db, evidence())).resolves.toBeUndefined();
});

it('throws with the invariant, the job and the evidence', async () => {
  await bench.store.db.deleteFrom('jobs').where('id', '=', story.neverRan).execute();
  const all = { ...evidence(), acknowledged: [story.neverRan] };
  await expect(assertHistory(bench.store.db, all)).rejects.toThrow(
    new RegExp(`I1 ${story.neverRan}: acknowledged, and not in the store`),
  );
});

/** A change of rows and the invariant that it breaks. */
type Lie = readonly [what: string, invariant: string, doctor: (db: Db, s: Story) => Promise<unknown>];

const job = (db: Db, id: string, set: object) =>
  db.updateTable('jobs').set(set).where('id', '=', id).execute();
const attempt = (db: Db, id: string, set: object) =>
  db.updateTable('attempts').set(set).where('id', '=', id).execute();

const LIES: readonly Lie[] = [
  ['a status outside of the table', 'I1', (db, s) => job(db, s.done.jobId, { status: 'DONE' })],
  ['an end without a time', 'I1', (db, s) => job(db, s.done.jobId, { finished_at: null })],
  ['a failure without a reason', 'I1', (db, s) => job(db, s.failed.jobId, { error_code: null })],
  ['a reason without a failure', 'I1', (db, s) => job(db, s.done.jobId, { error_code: 'TIMEOUT' })],
  [
    'a pair of states the table forbids',
    'I1',
    (db, s) => attempt(db, s.failed.attemptId, { state: 'CANCELED', outcome: 'CANCELED' }),
  ],
  [
    'an attempt that ended without outcome',
    'I1',
    (db, s) => attempt(db, s.done.attemptId, { outcome: null }),
  ],
  [
    'another attempt after a success',
    'I1',
    (db, s) => attempt(db, s.lostFirst.attempts[0], { state: 'SUCCEEDED', outcome: 'SUCCEEDED' }),
  ],
  [
    'two accepted results',
    'I2',
    (db, s) => attempt(db, s.lostFirst.attempts[0], { state: 'SUCCEEDED', outcome: 'SUCCEEDED' }),
  ],
  [
    'completion without a result',
    'I2',
    (db, s) => attempt(db, s.done.attemptId, { state: 'FAILED', outcome: 'FAILED' }),
  ],
  [
    'outputs of an attempt that does not count',
    'I2',
    (db, s) =>
      db
        .updateTable('outputs')
        .set({ attempt_id: s.lostFirst.attempts[0] })
        .where('job_id', '=', s.lostFirst.jobId)
        .execute(),
  ],
  [
    'an output nobody was told of',
    'I2',
    (db, s) => db.updateTable('outputs').set({ id: 'o' }).where('job_id', '=', s.lostFirst.jobId).execute(),
  ],
  ['more attempts than counted', 'I4', (db, s) => job(db, s.lostFirst.jobId, { attempt_count: 1 })],
  ['more charged than counted', 'I4', (db, s) => job(db, s.lostFirst.jobId, { charged_attempts: 0 })],
  ['more charged than allowed', 'I4', (db, s) => job(db, s.failed.jobId, { max_attempts: 0 })],
  ['crashes that were not counted', 'I4', (db, s) => job(db, s.lostFirst.jobId, { crashes: 0 })],
  [
    'a slot held for an ended job',
    'I5',
    (db, s) => attempt(db, s.canceled.attemptId, { state: 'RUNNING', outcome: null, finished_at: null }),
  ],
  ['processing without an owner', 'I5', (db, s) => job(db, s.failed.jobId, { status: 'PROCESSING' })],
  ['a job that never ended', 'I5', (db, s) => job(db, s.neverRan, { status: 'PENDING' })],
  [
    'an attempt without a job',
    'I5',
    (db, s) => db.deleteFrom('jobs').where('id', '=', s.done.jobId).execute(),
  ],
  [
    'a gap in the numbers',
    'I6',
    (db, s) => db.deleteFrom('job_events').where('job_id', '=', s.done.jobId).where('seq', '=', 2).execute(),
  ],
  [
    'an end that was not written down',
    'I6',
    (db, s) => db.deleteFrom('job_events').where('job_id', '=', s.done.jobId).where('seq', '=', 5).execute(),
  ],
  ['a job that counts other events', 'I6', (db, s) => job(db, s.done.jobId, { seq: 6 })],
  [
    'news after the end',
    'I6',
    async (db, s) => {
      await bench.store.db
        .insertInto('job_events')
        .values({ job_id: s.done.jobId, tenant: 'a', seq: 6, type: 'queued', at: 0, data: '{}' })
        .execute();
      await job(db, s.done.jobId, { seq: 6 });
    },
  ],
  [
    'two ends',
    'I6',
    (db, s) =>
      db
        .updateTable('job_events')
        .set({ type: 'canceled' })
        .where('job_id', '=', s.done.jobId)
        .where('seq', '=', 4)
        .execute(),
  ],
  [
    'a start that was not written down',
    'I6',
    (db, s) =>
      db
        .updateTable('job_events')
        .set({ data: '{"attemptId":"other"}' })
        .where('job_id', '=', s.done.jobId)
        .where('type', '=', 'started')
        .execute(),
  ],
  [
    'a loss that was not written down',
    'I6',
    (db, s) =>
      db
        .updateTable('job_events')
        .set({ type: 'started' })
        .where('job_id', '=', s.lostFirst.jobId)
        .where('type', '=', 'retried')
        .execute(),
  ],
  ['attempts that skip a number', 'I6', (db, s) => attempt(db, s.lostFirst.attempts[1], { number: 3 })],
  ...(['attempts', 'job_events', 'outputs', 'job_labels'] as const).map(
    (table): Lie => [
      `a row in ${table} of another tenant`,
      'I7',
      (db, s) => db.updateTable(table).set({ tenant: 'b' }).where('job_id', '=', s.lostFirst.jobId).execute(),
    ],
  ),
];

describe('rows that do not tell the truth', () => {
  it.each(LIES)('%s breaks %s', async (_what, invariant, doctor) => {
    await doctor(bench.store.db, story);
    expect(await broken()).toContain(invariant);
  });
});

describe('instances that tell something else', () => {
  it('finds a prompt that was posted twice, though it never ran (F21)', async () => {
    const [log] = evidence().instances ?? [];
    const prompts = [...(log?.prompts ?? []), posted(story.done.jobId, story.done.attemptId)];
    expect(await broken({ instances: [{ prompts, executions: [] }] })).toEqual(['I3']);
  });

  it('finds a prompt that was posted to two instances', async () => {
    const twice = { prompts: [posted(story.done.jobId, story.done.attemptId)], executions: [] };
    expect(await broken({ instances: [...(evidence().instances ?? []), twice] })).toEqual(['I3']);
  });

  it('finds a prompt on another instance than its attempt names', async () => {
    const [log] = evidence().instances ?? [];
    const elsewhere = { name: 'gpu-2', prompts: log?.prompts ?? [], executions: [] };
    expect(await broken({ instances: [elsewhere] })).toEqual(['I3']);
  });

  it('finds a prompt of no attempt, unless its job was deleted', async () => {
    const instances = [{ prompts: [posted('gone', 'nobody')], executions: [] }];
    expect(await broken({ instances })).toEqual(['I3']);
    expect(await broken({ instances, deleted: ['gone'] })).toEqual([]);
  });

  it('finds a prompt with the tag of another job', async () => {
    const instances = [{ prompts: [posted(story.failed.jobId, story.done.attemptId)], executions: [] }];
    expect(await broken({ instances })).toEqual(['I3']);
  });

  it('finds a prompt that ran twice', async () => {
    const executions = [ran(story.done.attemptId), ran(story.done.attemptId)];
    expect(await broken({ instances: [{ prompts: [], executions }] })).toEqual(['I3']);
  });

  it('finds a job that ran again without a reason', async () => {
    await attempt(bench.store.db, story.lostFirst.attempts[0], { state: 'CANCELED', outcome: 'CANCELED' });
    expect(await broken()).toContain('I3');
  });
});

describe('subscribers that received something else', () => {
  const web = (change: (events: SeenEvent[]) => SeenEvent[], stayed = true): Partial<Evidence> => ({
    subscribers: [{ name: 'web', events: change(seen(story.done.jobId)), stayed }],
  });
  const last = (events: SeenEvent[]): SeenEvent[] => events.slice(-1);

  it.each([
    ['a cursor that falls', (e: SeenEvent[]) => [...e.slice(1, 2), ...e.slice(0, 1), ...e.slice(2)]],
    ['an event twice', (e: SeenEvent[]) => [...e.slice(0, 2), ...e.slice(1)]],
    ['two ends', (e: SeenEvent[]) => [...e, ...last(e)]],
    ['news after the end', (e: SeenEvent[]) => [...e, { ...e[2], seq: 5 } as SeenEvent]],
    [
      'an event that is not stored',
      (e: SeenEvent[]) => [...e.slice(0, 4), { ...e[4], type: 'JobRetried' } as SeenEvent, ...last(e)],
    ],
    ['another end', (e: SeenEvent[]) => [...e.slice(0, 5), { ...e[5], status: 'FAILED' } as SeenEvent]],
    ['an unknown job', (e: SeenEvent[]) => e.map((event) => ({ ...event, jobId: 'unknown' }))],
    ['no end', (e: SeenEvent[]) => e.slice(0, 5)],
  ])('finds %s', async (_what, change) => {
    expect(await broken(web(change))).toEqual(['I6']);
  });

  it('does not ask for an end of who left before', async () => {
    expect(await broken(web((events) => events.slice(0, 3), false))).toEqual([]);
  });
});

it('finds a job that was acknowledged and is gone, unless it was deleted', async () => {
  const acknowledged = ['lost'];
  expect(await broken({ acknowledged })).toEqual(['I1']);
  expect(await broken({ acknowledged, deleted: ['lost'] })).toEqual([]);
});

it('finds more crashes than allowed', async () => {
  expect(await broken({ maxCrashes: 0 })).toEqual(['I4']);
});

it('finds what outgrew its bound', async () => {
  expect(await broken({ bounds: [{ what: 'rss', measured: 11, bound: 10 }] })).toEqual(['I8']);
  expect(await broken({ bounds: [{ what: 'rss', measured: Number.NaN, bound: 10 }] })).toEqual(['I8']);
});

it('lets work be under way where the end is not asked for', async () => {
  await bench.waiting();
  const running = await bench.started();
  const canceled = await bench.started(1);
  await bench.recorder.cancel(alice, canceled.jobId);
  const instances = [{ prompts: [posted(running.jobId, running.attemptId)], executions: [] }];
  expect(await broken({ instances, calm: false })).toEqual([]);
  expect(await broken({ instances })).toEqual(['I5']);
});
