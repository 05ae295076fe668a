import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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

describe('a list of jobs with instance, attempts and outputs', () => {
  it('costs the same number of store queries, at most 8, for 10 jobs and for 100', async () => {
    const ten = await statements(10);
    expect(ten).toBeLessThanOrEqual(8);
    expect(await statements(100)).toBe(ten);
  });
});
