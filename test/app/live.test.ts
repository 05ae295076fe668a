/** What a subscriber sees while a job runs: real progress, previews by address, events with cursors. */
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { everything, firstThat } from '../support/graphql-client.ts';
import { sleepGraph } from '../support/graphs.ts';
import { ended, follow, type JobView, submitGraph, submitted } from '../support/jobs.ts';
import { sharedGateway } from '../support/running-gateway.ts';

const gateway = sharedGateway({ instances: [{ stepMs: 20, previewMethod: 'latent' }] });

describe('progress', () => {
  it('of 20 sampler steps reaches a subscriber as at least 15 different values that never fall', async () => {
    const { client } = gateway();
    const job = await submitted(client, 'generateImage', {
      prompt: 'a boat',
      steps: 20,
      width: 64,
      height: 64,
    });

    const snapshots = (await everything(follow(client, job.id))).map((each) => each.job);

    const sampling = snapshots.filter(({ progress }) => progress.totalSteps === 20);
    const fractions = sampling.map(({ progress }) => progress.fraction);
    expect(new Set(fractions).size).toBeGreaterThanOrEqual(15);
    const all = snapshots.map(({ progress }) => progress.fraction);
    expect(all).toEqual([...all].sort((a, b) => a - b));
    const late = sampling.filter(({ progress }) => (progress.step ?? 0) >= 2 && (progress.step ?? 20) < 20);
    expect(late.length).toBeGreaterThan(0);
    for (const { progress } of late) expect(progress.remainingMs).toBeGreaterThan(0);
    expect(snapshots.at(-1)).toMatchObject({ status: 'COMPLETED', progress: { fraction: 1 } });
  });
});

describe('previews', () => {
  it('are fetched by their addresses while the job runs; none is left after it and none is in the stream', async () => {
    const { client } = gateway();
    const input = { prompt: 'a lighthouse', steps: 60, width: 256, height: 256 };
    const { id } = await submitted(client, 'generateImage', input);
    const pictures = new Set<string>();
    const addresses = new Set<string>();
    let last: JobView | undefined;
    for await (const result of follow(client, id)) {
      expect(JSON.stringify(result)).not.toMatch(/base64|[A-Za-z0-9+/]{400}/);
      last = result.data?.job;
      const preview = last?.preview;
      if (!preview || addresses.has(preview.url) || pictures.size >= 3) continue;
      const response = await fetch(preview.url);
      if (response.status !== 200) continue;
      expect(response.headers.get('content-type')).toBe(preview.mimeType);
      expect(response.headers.get('x-content-type-options')).toBe('nosniff');
      addresses.add(preview.url);
      const bytes = Buffer.from(await response.arrayBuffer());
      const { info, data } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
      expect(info.width).toBeGreaterThan(0);
      pictures.add(data.toString('base64'));
    }
    expect(pictures.size).toBeGreaterThanOrEqual(3);
    expect(last).toMatchObject({ status: 'COMPLETED', preview: null });
    for (const url of addresses) expect((await fetch(url)).status).toBe(404);
  });
});

interface EventView {
  readonly __typename: string;
  readonly cursor: string;
  readonly output?: { readonly node: string };
  readonly progress?: { readonly fraction: number };
}

const EVENTS = `subscription Events($id: ID!, $after: String) { jobEvents(id: $id, after: $after) {
  __typename cursor
  ... on OutputReady { output { id node } }
  ... on JobProgressed { progress { id fraction } }
} }`;

const LASTING = new Set([
  'JobQueued',
  'JobStarted',
  'OutputReady',
  'JobRetried',
  'JobCanceled',
  'JobFinished',
]);

describe('jobEvents', () => {
  it('tells what happened in order, and goes on after a cursor without gap or repeat', async () => {
    const { client } = gateway();
    const { id } = await submitGraph(client, sleepGraph({ seconds: 0.4, steps: 4, salt: 21 }));
    const heard = (await everything(client.watch<{ jobEvents: EventView }>(EVENTS, { id }))).map(
      (each) => each.jobEvents,
    );
    const lasting = heard.filter((event) => LASTING.has(event.__typename));
    expect(lasting.map((event) => event.__typename)).toEqual([
      'JobQueued',
      'JobStarted',
      'OutputReady',
      'JobFinished',
    ]);
    expect(heard.filter((event) => event.__typename === 'JobProgressed').length).toBeGreaterThanOrEqual(4);
    expect(heard.some((event) => event.__typename === 'NodeStarted')).toBe(true);
    expect(new Set(lasting.map((event) => event.cursor)).size).toBe(4);

    const replayed = (await everything(client.watch<{ jobEvents: EventView }>(EVENTS, { id }))).map(
      (each) => each.jobEvents,
    );
    expect(replayed).toEqual(lasting);
    for (const [index, { cursor }] of lasting.entries()) {
      const rest = await everything(client.watch<{ jobEvents: EventView }>(EVENTS, { id, after: cursor }));
      expect(rest.map((each) => each.jobEvents)).toEqual(lasting.slice(index + 1));
    }
  });

  it('picks up in the middle of a run', async () => {
    const { client } = gateway();
    const { id } = await submitGraph(client, sleepGraph({ seconds: 0.4, steps: 4, salt: 22 }));
    const started = await firstThat(
      client.watch<{ jobEvents: EventView }>(EVENTS, { id }),
      ({ jobEvents }) => jobEvents.__typename === 'JobProgressed',
    );
    const rest = await everything(
      client.watch<{ jobEvents: EventView }>(EVENTS, { id, after: started.jobEvents.cursor }),
    );
    const lasting = rest.map((each) => each.jobEvents.__typename).filter((name) => LASTING.has(name));
    expect(lasting).toEqual(['OutputReady', 'JobFinished']);
  });

  it('of an unknown job is an error that says NOT_FOUND', async () => {
    const { client } = gateway();
    const [first] = await collect(client.watch(EVENTS, { id: 'Sm9iOm5vdGhpbmc' }));
    expect(first?.errors?.[0]).toMatchObject({ extensions: { code: 'NOT_FOUND' } });
  });
});

async function collect<T>(results: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const result of results) all.push(result);
  return all;
}

describe('the subscription', () => {
  it('jobs tells of the jobs that match its filter and of no others', async () => {
    const { client } = gateway();
    const query = `subscription { jobs(filter: { label: { team: "red" } }) { id status labels } }`;
    const results = client.watch<{ jobs: { id: string; status: string } }>(query);
    const finished = collectUntilCompleted(results);
    // another subscription answering means that the first is listening: one socket carries both in order
    await firstThat(
      client.watch<{ queue: { pending: number } }>('subscription { queue { id pending } }'),
      () => true,
    );
    const blue = await submitGraph(client, sleepGraph({ seconds: 0, salt: 31 }), {
      labels: { team: 'blue' },
    });
    await ended(client, blue.id);
    const red = await submitGraph(client, sleepGraph({ seconds: 0.1, salt: 32 }), {
      labels: { team: 'red' },
    });

    const heard = await finished;

    expect(new Set(heard.map((job) => job.id))).toEqual(new Set([red.id]));
    const statuses = heard.map((job) => job.status);
    // the job as it stands when it is sent: on a busy machine it may have got its place by then
    expect(['PENDING', 'PROCESSING']).toContain(statuses[0]);
    expect(statuses).toContain('PROCESSING');
    expect(statuses.at(-1)).toBe('COMPLETED');
  });

  it('instances sends every instance first, then one that changes', async () => {
    const { client } = gateway();
    const query = 'subscription { instances { id name health running } }';
    const results = client.watch<{ instances: { name: string; health: string; running: number } }>(query);
    let submittedJob: Promise<unknown> | undefined;
    const seen: number[] = [];
    await firstThat(results, ({ instances }) => {
      expect(instances).toMatchObject({ name: 'gpu1', health: 'HEALTHY' });
      seen.push(instances.running);
      submittedJob ??= submitGraph(client, sleepGraph({ seconds: 0.3, salt: 41 }));
      return seen.includes(1) && instances.running === 0;
    });
    await submittedJob;
    expect(seen[0]).toBe(0);
  });

  it('queue tells that a job is being processed', async () => {
    const { client } = gateway();
    const query = 'subscription { queue { id pending processing capacity accepting } }';
    let submittedJob: Promise<JobView> | undefined;
    const { queue } = await firstThat(
      client.watch<{ queue: { processing: number; capacity: number; accepting: boolean } }>(query),
      (each) => {
        submittedJob ??= submitGraph(client, sleepGraph({ seconds: 1.5, salt: 51 }));
        return each.queue.processing === 1;
      },
    );
    expect(queue).toMatchObject({ capacity: 1, accepting: true });
    await ended(client, (await submittedJob)?.id ?? '');
  });

  it('job of an unknown id is an error that says NOT_FOUND, and the socket stays open', async () => {
    const { client } = gateway();
    const query = 'subscription { job(id: "Sm9iOm5vdGhpbmc") { id } }';
    const [first] = await collect(client.watch(query));
    expect(first?.errors?.[0]).toMatchObject({ extensions: { code: 'NOT_FOUND' } });
    const { id } = await submitGraph(client, sleepGraph({ seconds: 0, salt: 61 }));
    expect((await ended(client, id)).status).toBe('COMPLETED');
  });

  it('with a mistake in it is an error of that operation alone', async () => {
    const { client } = gateway();
    await expect(collect(client.watch('subscription { job(id: }'))).rejects.toMatchObject([
      { message: expect.stringContaining('Syntax Error') },
    ]);
    const { id } = await submitGraph(client, sleepGraph({ seconds: 0, salt: 62 }));
    expect((await ended(client, id)).status).toBe('COMPLETED');
  });
});

async function collectUntilCompleted(
  results: AsyncIterable<{ data?: { jobs: { id: string; status: string } } | null | undefined }>,
) {
  const heard: { id: string; status: string }[] = [];
  for await (const { data } of results) {
    if (!data) continue;
    heard.push(data.jobs);
    if (data.jobs.status === 'COMPLETED') break;
  }
  return heard;
}
