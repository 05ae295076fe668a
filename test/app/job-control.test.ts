/** What a client may do with a job: wait for it, cancel it, retry it, delete it, submit it twice by mistake. */
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { noiseInto, sleepGraph } from '../support/graphs.ts';
import {
  act,
  ended,
  findJob,
  history,
  jobThat,
  submission,
  submitGraph,
  submitted,
  submitting,
} from '../support/jobs.ts';
import { sharedGateway } from '../support/running-gateway.ts';
import { tracesIn } from '../support/traces.ts';

const gateway = sharedGateway();
let salt = 0;
/** Long enough that a test ends it, never the clock. */
const long = () => sleepGraph({ seconds: 120, steps: 1200, salt: ++salt });
const short = (seconds = 0) => sleepGraph({ seconds, salt: ++salt });

async function instanceIsIdle(): Promise<void> {
  const { instances } = gateway();
  await eventually(async () => {
    const answer = await fetch(`${instances[0]?.url}/queue`);
    const queue = (await answer.json()) as { queue_running: unknown[]; queue_pending: unknown[] };
    return queue.queue_running.length + queue.queue_pending.length === 0;
  });
}

describe('waitMs', () => {
  it('answers with the job once it has ended', async () => {
    const job = await submitGraph(gateway().client, short(0.1), { waitMs: 20_000 });
    expect(job).toMatchObject({ status: 'COMPLETED', outputs: [{ mimeType: 'image/png' }] });
  });

  it('answers after its time with the job as it stands, which goes on', async () => {
    const { client } = gateway();
    const job = await submitGraph(client, short(0.6), { waitMs: 50 });
    expect(['PENDING', 'PROCESSING']).toContain(job.status);
    expect((await ended(client, job.id)).status).toBe('COMPLETED');
  });

  it('cancels nothing when the client leaves', async () => {
    const { client } = gateway();
    const leaving = new AbortController();
    const labels = { who: 'leaver' };
    const input = { graph: short(0.5), waitMs: 30_000, labels };
    const waiting = client.ask(submission('submitJob'), { input }, leaving.signal);
    const query = '{ jobs(filter: { label: { who: "leaver" } }) { nodes { id } } }';
    const id = await eventually(async () => {
      const { jobs } = await client.run<{ jobs: { nodes: { id: string }[] } }>(query);
      return jobs.nodes[0]?.id;
    });
    leaving.abort();
    await expect(waiting).rejects.toThrow();
    expect((await ended(client, id)).status).toBe('COMPLETED');
  });
});

describe('canceling', () => {
  it('a waiting job ends it at once, and it never runs', async () => {
    const { client, instances } = gateway();
    const busy = await submitGraph(client, long());
    await jobThat(client, busy.id, (job) => job.progress.step !== null);
    const waiting = await submitGraph(client, short());
    const runs = instances[0]?.control.executions().length;

    expect(await act(client, 'cancelJob', waiting.id)).toMatchObject({ job: { status: 'CANCELED' } });
    await act(client, 'cancelJob', busy.id);
    await instanceIsIdle();

    expect(await findJob(client, waiting.id)).toMatchObject({ status: 'CANCELED', attempts: [] });
    expect(instances[0]?.control.executions()).toHaveLength(runs ?? 0);
  });

  it('a running job ends it at once, tells its subscribers, and frees the GPU for the next', async () => {
    const { client } = gateway();
    const { id } = await submitGraph(client, long());
    const told = history(client, id);
    await jobThat(client, id, (job) => job.progress.step !== null);

    expect(await act(client, 'cancelJob', id)).toMatchObject({ job: { status: 'CANCELED' } });

    expect((await told).at(-1)).toMatchObject({ status: 'CANCELED', preview: null });
    await instanceIsIdle();
    const next = await submitGraph(client, short(), { waitMs: 20_000 });
    expect(next.status).toBe('COMPLETED');
    const attempts = await eventually(async () => {
      const job = await findJob(client, id);
      return job?.attempts[0]?.outcome ? job.attempts : null;
    });
    expect(attempts).toMatchObject([{ outcome: 'CANCELED' }]);
  });

  it('a canceled job again succeeds; one that has ended otherwise is an InvalidStateError', async () => {
    const { client } = gateway();
    const completed = await submitGraph(client, short(), { waitMs: 20_000 });
    expect(await act(client, 'cancelJob', completed.id)).toMatchObject({
      __typename: 'InvalidStateError',
      status: 'COMPLETED',
    });
    const { id } = await submitGraph(client, long());
    await act(client, 'cancelJob', id);
    expect(await act(client, 'cancelJob', id)).toMatchObject({ job: { status: 'CANCELED' } });
    await instanceIsIdle();
  });
});

describe('retrying', () => {
  it('an ended job makes a new one that repeats it; the old one stays as it was', async () => {
    const { client } = gateway();
    const first = await submitGraph(client, short(), { waitMs: 20_000, labels: { a: 'b' }, priority: 7 });

    const { job } = await act(client, 'retryJob', first.id);

    expect(job?.id).not.toBe(first.id);
    expect(job?.retryOf).toEqual({ id: first.id });
    const repeated = await ended(client, job?.id ?? '');
    expect(repeated).toMatchObject({ status: 'COMPLETED', retryOf: { id: first.id } });
    expect(repeated.outputs[0]?.url).not.toBe(first.outputs[0]?.url);
    expect(await findJob(client, first.id)).toEqual(first);
  });

  it('a running job is an InvalidStateError', async () => {
    const { client } = gateway();
    const { id } = await submitGraph(client, long());
    expect(await act(client, 'retryJob', id)).toMatchObject({ __typename: 'InvalidStateError' });
    expect(await act(client, 'deleteJob', id)).toMatchObject({ __typename: 'InvalidStateError' });
    await act(client, 'cancelJob', id);
    await instanceIsIdle();
  });
});

describe('deleting', () => {
  it('an ended job removes it with its files', async () => {
    const { client, dataDir } = gateway();
    const job = await submitGraph(client, noiseInto('SaveImage', { filename_prefix: 'gone' }), {
      waitMs: 20_000,
      labels: { salt: String(++salt) },
    });
    const [output] = job.outputs;
    const blob = (files: readonly string[]) => files.filter((file) => file.includes(output?.sha256 ?? '?'));
    expect(blob((await tracesIn(dataDir)).files)).toHaveLength(1);

    expect(await act(client, 'deleteJob', job.id)).toMatchObject({ deletedJobId: job.id });

    expect(await findJob(client, job.id)).toBeNull();
    expect((await fetch(output?.url ?? '')).status).toBe(404);
    await eventually(async () => blob((await tracesIn(dataDir)).files).length === 0);
    expect(await act(client, 'deleteJob', job.id)).toMatchObject({ __typename: 'NotFoundError' });
  });

  it('all ended jobs by cleanUpJobs leaves those that wait or run', async () => {
    const { client, dataDir } = gateway();
    const done = await submitGraph(client, short(), { waitMs: 20_000 });
    const running = await submitGraph(client, long());
    await jobThat(client, running.id, (job) => job.status === 'PROCESSING');

    const { cleanUpJobs } = await client.run<{ cleanUpJobs: { deleted: number } }>(
      'mutation { cleanUpJobs(input: { olderThan: "now" }) { ... on CleanUpJobsSuccess { deleted } } }',
    );

    expect(cleanUpJobs.deleted).toBeGreaterThanOrEqual(1);
    expect(await findJob(client, done.id)).toBeNull();
    expect((await fetch(done.outputs[0]?.url ?? '')).status).toBe(404);
    expect(await findJob(client, running.id)).toMatchObject({ status: 'PROCESSING' });
    await act(client, 'cancelJob', running.id);
    await instanceIsIdle();
    await eventually(async () => (await tracesIn(dataDir)).files.length === 0);
  });
});

describe('an idempotency key', () => {
  it('with the same body answers the first job, and only one runs', async () => {
    const { client, instances } = gateway();
    const input = { graph: short(), idempotencyKey: 'order 66', labels: { a: '1' } };
    const runs = instances[0]?.control.executions().length ?? 0;
    const [first, second] = await Promise.all([
      submitted(client, 'submitJob', input),
      submitted(client, 'submitJob', { ...input, waitMs: 5 }),
    ]);
    expect(second.id).toBe(first.id);
    await ended(client, first.id);
    expect((await submitted(client, 'submitJob', input)).id).toBe(first.id);
    expect(instances[0]?.control.executions()).toHaveLength(runs + 1);
  });

  it('with another body is a conflict that names the first job', async () => {
    const { client } = gateway();
    const input = { graph: short(), idempotencyKey: 'order 67' };
    const first = await submitted(client, 'submitJob', input);
    const conflict = await submitting(client, 'submitJob', { ...input, priority: 6 });
    expect(conflict).toMatchObject({ __typename: 'IdempotencyConflictError', firstJob: { id: first.id } });
    await ended(client, first.id);
  });
});
