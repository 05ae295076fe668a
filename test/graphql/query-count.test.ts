import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { globalId } from '../../src/graphql/global-id.ts';
import { startGateway, TERM, type TestGateway } from '../support/gateway.ts';

const QUERY = `query Many($first: Int!) {
  jobs(first: $first) {
    totalCount
    nodes {
      id status progress { id fraction }
      instance { id name health }
      attempts { id number instance { id } }
      outputs { id mimeType ... on ImageOutput { url thumbnailUrl width } }
    }
  }
}`;

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ LOG_LEVEL: 'silent' });
  const instances = [await gateway.addInstance('a'), await gateway.addInstance('b')];
  for (let number = 0; number < 100; number++) {
    const job = await gateway.addJob();
    const instance = instances[number % 2];
    if (!instance) throw new Error('no instance');
    const attempt = await gateway.assign(job.id, instance);
    await gateway.addOutput(attempt, new TextEncoder().encode(`picture ${number}`));
    await gateway.recorder.collecting(attempt, TERM);
    await gateway.recorder.complete(attempt, TERM, 10);
  }
});
afterAll(() => gateway.stop());

async function statements(first: number): Promise<number> {
  const seen: string[] = [];
  const stop = gateway.store.onQuery((sql) => seen.push(sql));
  const { data, errors } = await gateway.query(QUERY, { first });
  stop();
  expect(errors).toBeUndefined();
  const nodes = (data as unknown as { jobs: { nodes: { outputs: unknown[]; attempts: unknown[] }[] } }).jobs
    .nodes;
  expect(nodes).toHaveLength(first);
  expect(nodes.every(({ outputs, attempts }) => outputs.length === 1 && attempts.length === 1)).toBe(true);
  return seen.length;
}

describe('a list of instances with their jobs', () => {
  it('costs as many store queries as one instance does', async () => {
    const query = `query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Instance {
      name running jobs(first: 3) { totalCount nodes { id } pageInfo { hasNextPage } } } } }`;
    const rows = await gateway.store.db.selectFrom('instances').select('id').execute();
    const ids = rows.map(({ id }) => globalId('Instance', id));
    const counts: number[] = [];
    for (const asked of [ids.slice(0, 1), ids]) {
      let statements = 0;
      const stop = gateway.store.onQuery(() => {
        statements += 1;
      });
      const { data } = await gateway.query(query, { ids: asked });
      stop();
      counts.push(statements);
      expect(data).toMatchObject({
        nodes: asked.map(() => ({
          jobs: { totalCount: 50, nodes: [{}, {}, {}], pageInfo: { hasNextPage: true } },
        })),
      });
    }
    expect(counts[1]).toBe(counts[0]);
  });
});

describe('a list of jobs with instance, attempts and outputs', () => {
  it('costs the same number of store queries, at most 8, for 10 jobs and for 100', async () => {
    const ten = await statements(10);
    expect(ten).toBeLessThanOrEqual(8);
    expect(await statements(100)).toBe(ten);
  });
});

describe('objects by their ids', () => {
  it('cost one store query for each kind of object, however many there are', async () => {
    const query = `query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }`;
    const jobs = await gateway.store.db.selectFrom('jobs').select('id').limit(40).execute();
    const outputs = await gateway.store.db.selectFrom('outputs').select('id').limit(40).execute();
    const ids = [
      ...jobs.map(({ id }) => globalId('Job', id)),
      ...outputs.map(({ id }) => globalId('ImageOutput', id)),
      globalId('UploadedImage', 'none'),
      globalId('FileOutput', outputs[0]?.id ?? ''),
    ];
    const seen: string[] = [];
    const stop = gateway.store.onQuery((sql) => seen.push(sql));
    const { data, errors } = await gateway.query(query, { ids });
    stop();
    expect(errors).toBeUndefined();
    const { nodes } = data as unknown as { nodes: ({ __typename: string; id: string } | null)[] };
    expect(nodes.map((node) => node?.id ?? null)).toEqual([...ids.slice(0, 80), null, null]);
    expect(seen).toHaveLength(3);
  });
});
