import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Instance } from '../../src/domain/instance.ts';
import type { Job } from '../../src/domain/job.ts';
import { defaultViewer } from '../../src/domain/viewer.ts';
import { globalId } from '../../src/graphql/global-id.ts';
import { setBlocked } from '../../src/store/needs.ts';
import { eventually } from '../support/eventually.ts';
import { startGateway, TERM, type TestGateway } from '../support/gateway.ts';

let gateway: TestGateway;
let instance: Instance;
let slot = 0;
beforeAll(async () => {
  gateway = await startGateway();
  instance = await gateway.addInstance('gpu', { gpu: 'RTX' });
});
afterAll(() => gateway.stop());

const idOf = (job: Job): string => globalId('Job', job.id);
async function completed(extra: Parameters<TestGateway['addJob']>[0] = {}, runMs = 1000): Promise<Job> {
  const job = await gateway.addJob(extra);
  const attempt = await gateway.assign(job.id, instance, slot++);
  await gateway.addOutput(attempt, new TextEncoder().encode(job.id));
  await gateway.recorder.collecting(attempt, TERM);
  await gateway.recorder.complete(attempt, TERM, runMs);
  return job;
}
const mutate = async (name: string, id: string): Promise<Record<string, unknown>> => {
  const success =
    name === 'deleteJob'
      ? '... on DeleteJobSuccess { deletedJobId }'
      : '... on JobSuccess { job { id status retryOf { id } } }';
  const { data, errors } = await gateway.query(
    `mutation ($id: ID!) { ${name}(input: { id: $id }) { __typename
      ${success} ... on InvalidStateError { status } ... on Error { code } } }`,
    { id },
  );
  expect(errors).toBeUndefined();
  return (data as unknown as Record<string, Record<string, unknown>>)[name] ?? {};
};

describe('lists of jobs', () => {
  const LIST = `query ($first: Int, $after: String, $last: Int, $before: String, $filter: JobFilter) {
    jobs(first: $first, after: $after, last: $last, before: $before, filter: $filter) {
      totalCount nodes { id } edges { cursor node { id } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`;
  interface Page {
    readonly totalCount: number;
    readonly nodes: { id: string }[];
    readonly edges: { cursor: string; node: { id: string } }[];
    readonly pageInfo: {
      hasNextPage: boolean;
      hasPreviousPage: boolean;
      endCursor: string;
      startCursor: string;
    };
  }
  const list = async (variables: object): Promise<Page> => {
    const { data, errors } = await gateway.query(LIST, variables);
    expect(errors).toBeUndefined();
    return (data as unknown as { jobs: Page }).jobs;
  };

  it('are walked in both directions without repeating or missing one, while others are added', async () => {
    const labels = { list: 'walk' };
    const jobs: Job[] = [];
    for (let n = 0; n < 7; n++) jobs.push(await gateway.addJob({ labels }));
    const newestFirst = (a: Job, b: Job): number => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1);
    const expected = jobs.sort(newestFirst).map(idOf);
    await eventually(() => Date.now() > (jobs[0]?.createdAt ?? 0), { what: 'a later moment' });
    const seen: string[] = [];
    let after: string | null = null;
    for (;;) {
      const page: Page = await list({ first: 3, after, filter: { label: labels } });
      seen.push(...page.nodes.map(({ id }) => id));
      await gateway.addJob({ labels });
      if (!page.pageInfo.hasNextPage) break;
      after = page.pageInfo.endCursor;
    }
    expect(seen).toEqual(expected);
    const last = await list({ last: 2, filter: { label: labels } });
    expect(last.nodes.map(({ id }) => id)).toEqual(expected.slice(-2));
    const before = await list({ last: 2, before: last.pageInfo.startCursor, filter: { label: labels } });
    expect(before.nodes.map(({ id }) => id)).toEqual(expected.slice(-4, -2));
    expect(before.totalCount).toBe(10);
    expect(before.edges.map(({ node }) => node.id)).toEqual(before.nodes.map(({ id }) => id));
  });

  it('can be narrowed by every filter', async () => {
    const job = await completed({ labels: { list: 'filter' }, workflow: 'upscaleImage' });
    const other = await gateway.addJob({ labels: { list: 'filter' } });
    const only = async (filter: object): Promise<string[]> =>
      (await list({ filter: { label: { list: 'filter' }, ...filter } })).nodes.map(({ id }) => id);
    expect(await only({})).toEqual([idOf(other), idOf(job)]);
    expect(await only({ status: ['COMPLETED'] })).toEqual([idOf(job)]);
    expect(await only({ workflow: ['upscaleImage'] })).toEqual([idOf(job)]);
    expect(await only({ instance: [globalId('Instance', instance.id)] })).toEqual([idOf(job)]);
    expect(await only({ instance: ['nonsense'] })).toEqual([]);
    expect(await only({ owner: 'nobody' })).toEqual([]);
    expect(await only({ createdAfter: 'now-1h' })).toHaveLength(2);
    expect(await only({ createdBefore: 'now-1h' })).toEqual([]);
    expect(await only({ createdAfter: Date.now() + 60_000 })).toEqual([]);
    expect(await only({ createdBefore: String(Date.now() + 60_000) })).toHaveLength(2);
  });

  it.each([
    [{ first: 0 }],
    [{ first: 101 }],
    [{ last: -1 }],
    [{ first: 1, last: 1 }],
    [{ after: 'nonsense' }],
    [{ filter: { createdAfter: 'yesterday' } }],
  ])('refuse %j', async (variables) => {
    const { errors } = await gateway.query(LIST, variables);
    expect(errors?.[0]?.extensions?.code).toBe('BAD_USER_INPUT');
  });

  it.each([
    [
      'workflow',
      Array.from({ length: 40_000 }, (_, n) => `w${n}`),
      /filter\.workflow has 40000 .* 500 are allowed/,
    ],
    [
      'instance',
      Array.from({ length: 501 }, (_, n) => `i${n}`),
      /filter\.instance has 501 .* 500 are allowed/,
    ],
    ['label', Object.fromEntries(Array.from({ length: 33 }, (_, n) => [n, ''])), /33 entries; a job has 32/],
  ])(
    'refuse more in filter.%s than a statement holds, and say how many may be',
    async (field, value, message) => {
      const filter = { [field]: value };
      const stats = 'query ($filter: JobFilter) { jobStats(filter: $filter) { total } }';
      for (const asked of [LIST, stats]) {
        const { errors } = await gateway.query(asked, { filter });
        expect(errors?.[0]).toMatchObject({
          message: expect.stringMatching(message),
          extensions: { code: 'BAD_USER_INPUT' },
        });
      }
    },
  );

  it('take as many as may be, and any number of times', async () => {
    const many = Array.from({ length: 500 }, (_, n) => `w${n}`);
    const label = Object.fromEntries(Array.from({ length: 32 }, (_, n) => [n, '']));
    const all = Array.from({ length: 40_000 }, () => 'COMPLETED');
    for (const filter of [
      { workflow: many, instance: many, label },
      { status: all, workflow: ['nobody has'] },
    ])
      expect((await list({ filter })).totalCount).toBe(0);
  });

  it('come with figures', async () => {
    const { data } = await gateway.query(
      'query ($f: JobFilter) { jobStats(filter: $f) { total byStatus { status count } byWorkflow { name count } byInstance { name count } } }',
      { f: { label: { list: 'filter' } } },
    );
    expect(data).toMatchObject({
      jobStats: { total: 2, byInstance: [{ name: 'gpu', count: 1 }] },
    });
  });
});

describe('one job', () => {
  it('says all there is to say of it', async () => {
    const job = await completed({ inputs: { image: { uploadId: 'abc' }, prompt: 'x' }, labels: { a: 'b' } });
    const { data, errors } = await gateway.query(
      `query ($id: ID!) { job(id: $id) {
        id status workflow inputs priority labels owner queueMs runMs createdAt updatedAt startedAt finishedAt
        progress { fraction node } queue { position } preview { url } error { code } retryOf { id }
        instance { name gpu running jobs(first: 1) { nodes { id } } }
        attempts { number promptId outcome instanceName instance { id } startedAt finishedAt runMs error { code } }
        outputs { __typename node mimeType ... on ImageOutput { url thumbnailUrl filename width height bytes sha256 dataUri } }
      } }`,
      { id: idOf(job) },
    );
    expect(errors).toBeUndefined();
    expect(data).toMatchObject({
      job: {
        id: idOf(job),
        status: 'COMPLETED',
        inputs: { image: { uploadId: globalId('UploadedImage', 'abc') }, prompt: 'x' },
        labels: { a: 'b' },
        owner: null,
        runMs: 1000,
        progress: { fraction: 1, node: null },
        queue: null,
        preview: null,
        error: null,
        instance: { name: 'gpu', gpu: 'RTX' },
        attempts: [{ number: 1, outcome: 'SUCCEEDED', instanceName: 'gpu', runMs: 1000 }],
        outputs: [
          {
            __typename: 'ImageOutput',
            dataUri: `data:image/png;base64,${Buffer.from(job.id).toString('base64')}`,
          },
        ],
      },
    });
  });

  it('says why it waits and for how long', async () => {
    await completed({}, 2000);
    const job = await gateway.addJob({ priority: 10 });
    await setBlocked(gateway.store.db, job.needsKey, 'no healthy instance has model x', Date.now());
    const { data } = await gateway.query(
      'query ($id: ID!) { job(id: $id) { queue { id position estimatedWaitMs blockedBy } } }',
      { id: idOf(job) },
    );
    expect(data).toMatchObject({
      job: { queue: { position: 1, blockedBy: 'no healthy instance has model x' } },
    });
    const wait = (data as unknown as { job: { queue: { estimatedWaitMs: number } } }).job.queue
      .estimatedWaitMs;
    expect(wait).toBeGreaterThanOrEqual(0);
    await gateway.recorder.cancel(defaultViewer, job.id);
  });

  it.each(['nonsense', globalId('Job', 'unknown'), globalId('Instance', 'x')])(
    'is null for %s',
    async (id) => {
      expect((await gateway.query('query ($id: ID!) { job(id: $id) { id } }', { id })).data).toEqual({
        job: null,
      });
    },
  );
});

describe('node and nodes', () => {
  it('find everything that has an id of its own, in the order asked, and null for the rest', async () => {
    const job = await completed();
    const { data } = await gateway.query(
      'query ($id: ID!) { job(id: $id) { instance { id } outputs { id } } workflows { id } }',
      { id: idOf(job) },
    );
    const found = data as unknown as {
      job: { instance: { id: string }; outputs: { id: string }[] };
      workflows: { id: string }[];
    };
    const ids = [
      idOf(job),
      'nonsense',
      found.job.instance.id,
      found.job.outputs[0]?.id,
      found.workflows[0]?.id,
    ];
    const { data: nodes, errors } = await gateway.query(
      'query ($ids: [ID!]!, $id: ID!) { nodes(ids: $ids) { __typename id } node(id: $id) { id } }',
      { ids, id: globalId('TextOutput', 'x') },
    );
    expect(errors).toBeUndefined();
    expect(nodes).toEqual({
      nodes: [
        { __typename: 'Job', id: ids[0] },
        null,
        { __typename: 'Instance', id: ids[2] },
        { __typename: 'ImageOutput', id: ids[3] },
        { __typename: 'Workflow', id: ids[4] },
      ],
      node: null,
    });
  });
});

describe('canceling, retrying and deleting', () => {
  it('cancel what waits or is canceled, not what has ended otherwise', async () => {
    const job = await gateway.addJob();
    expect(await mutate('cancelJob', idOf(job))).toMatchObject({ job: { status: 'CANCELED' } });
    expect(await mutate('cancelJob', idOf(job))).toMatchObject({ job: { status: 'CANCELED' } });
    const ended = await completed();
    expect(await mutate('cancelJob', idOf(ended))).toEqual({
      __typename: 'InvalidStateError',
      status: 'COMPLETED',
      code: 'INVALID_STATE',
    });
  });

  it('retry what has ended with a new job', async () => {
    const job = await completed();
    const { job: again } = await mutate('retryJob', idOf(job));
    expect(again).toMatchObject({ status: 'PENDING', retryOf: { id: idOf(job) } });
    const active = (again as { id: string }).id;
    expect(await mutate('retryJob', active)).toMatchObject({ __typename: 'InvalidStateError' });
  });

  it('delete what has ended, with its outputs', async () => {
    const job = await completed();
    expect(await mutate('deleteJob', idOf(job))).toMatchObject({ deletedJobId: idOf(job) });
    expect(await mutate('deleteJob', idOf(job))).toMatchObject({ __typename: 'NotFoundError' });
    const active = await gateway.addJob();
    expect(await mutate('deleteJob', idOf(active))).toMatchObject({ __typename: 'InvalidStateError' });
  });

  it.each(['cancelJob', 'retryJob', 'deleteJob'])(
    '%s answers NotFoundError for ids that name no job',
    async (name) => {
      for (const id of ['nonsense', globalId('Job', 'unknown'), globalId('Workflow', 'generateImage')]) {
        expect(await mutate(name, id)).toEqual({ __typename: 'NotFoundError', code: 'NOT_FOUND' });
      }
    },
  );

  it('clean up ended jobs by age and status, and nothing that is active', async () => {
    const cleanUp = async (input: object): Promise<unknown> => {
      const { data } = await gateway.query(
        `mutation ($input: CleanUpJobsInput!) { cleanUpJobs(input: $input) {
          ... on CleanUpJobsSuccess { deleted } ... on ValidationError { issues { path } } } }`,
        { input },
      );
      return (data as unknown as { cleanUpJobs: unknown }).cleanUpJobs;
    };
    const job = await completed();
    expect(await cleanUp({})).toEqual({ deleted: 0 });
    // as often as a body holds
    expect(await cleanUp({ olderThan: 'now-10d', status: Array(40_000).fill('COMPLETED') })).toEqual({
      deleted: 0,
    });
    expect(await cleanUp({ status: ['COMPLETED', 'PENDING'] })).toEqual({
      issues: [{ path: ['status', '1'] }],
    });
    expect(await cleanUp({ olderThan: Date.now() + 1000, status: ['FAILED'] })).toEqual({ deleted: 0 });
    expect(await cleanUp({ olderThan: Date.now() + 1000, status: ['COMPLETED'] })).not.toEqual({
      deleted: 0,
    });
    expect((await gateway.query('query ($id: ID!) { job(id: $id) { id } }', { id: idOf(job) })).data).toEqual(
      {
        job: null,
      },
    );
  });
});
