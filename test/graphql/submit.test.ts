import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveInventory } from '../../src/store/inventories.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startRunner } from '../support/runner.ts';

const SUBMIT = `mutation ($input: SubmitJobInput!) { submitJob(input: $input) {
  __typename
  ... on SubmitJobSuccess { job { id status workflow inputs priority labels } }
  ... on ValidationError { issues { path message } }
  ... on WorkflowInvalidError { nodeErrors { nodeId nodeType message } }
  ... on NotRunnableError { missingNodeTypes missingModels }
  ... on IdempotencyConflictError { first: job { id } }
  ... on QueueFullError { retryAfterMs }
  ... on Error { code message } } }`;
const prompt = { workflow: 'generateImage', inputs: { prompt: 'a' } };

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ MAX_QUEUED_JOBS: '60' });
});
afterAll(() => gateway.stop());

async function submit(input: object): Promise<Record<string, unknown>> {
  const { data, errors } = await gateway.query(SUBMIT, { input });
  expect(errors).toBeUndefined();
  return (data as unknown as { submitJob: Record<string, unknown> }).submitJob;
}
const count = async (): Promise<number> =>
  (await gateway.store.db.selectFrom('jobs').select('id').execute()).length;

describe('submitJob', () => {
  it('takes a workflow with its inputs and options', async () => {
    const { job } = await submit({ ...prompt, priority: 7, labels: { team: 'a' } });
    expect(job).toMatchObject({
      status: 'PENDING',
      workflow: 'generateImage',
      priority: 7,
      labels: { team: 'a' },
      inputs: { prompt: 'a', width: 512 },
    });
  });

  it('takes a raw graph', async () => {
    const graph = { 1: { class_type: 'EmptyLatentImage', inputs: { width: 64, height: 64, batch_size: 1 } } };
    expect(await submit({ graph })).toMatchObject({ job: { workflow: 'raw', inputs: {} } });
  });

  it.each([
    ['an unknown workflow', { workflow: 'nothing' }, ['workflow']],
    ['both', { ...prompt, graph: {} }, []],
    ['neither', {}, []],
    ['a wrong type', { workflow: 'generateImage', inputs: { prompt: 5 } }, ['inputs', 'prompt']],
    ['out of range', { workflow: 'generateImage', inputs: { prompt: 'a', steps: 900 } }, ['inputs', 'steps']],
    ['an unknown input', { workflow: 'generateImage', inputs: { prompt: 'a', x: 1 } }, ['inputs', 'x']],
    ['a missing input', { workflow: 'generateImage' }, ['inputs', 'prompt']],
    [
      'an unknown upload',
      { workflow: 'upscaleImage', inputs: { image: { uploadId: 'x' } } },
      ['inputs', 'image', 'uploadId'],
    ],
    ['a priority out of range', { ...prompt, priority: 11 }, ['priority']],
    ['a negative wait', { ...prompt, waitMs: -1 }, ['waitMs']],
    ['no picture', { workflow: 'upscaleImage', inputs: { image: { dataUri: 'data:text/plain,hi' } } }, null],
  ])('refuses %s and writes nothing', async (_what, input, path) => {
    const before = await count();
    const answer = await submit(input);
    if (path === null) expect(answer.__typename).not.toBe('SubmitJobSuccess');
    else {
      expect(answer.__typename).toBe('ValidationError');
      expect((answer.issues as { path: string[] }[])[0]?.path).toEqual(path);
    }
    expect(await count()).toBe(before);
  });

  it('says what is wrong with a graph, by node', async () => {
    expect(await submit({ graph: { 1: { inputs: {} } } })).toMatchObject({
      __typename: 'WorkflowInvalidError',
      nodeErrors: [{ nodeId: '1' }],
    });
  });

  it('answers with the first job to the same key and body, with a conflict to another body', async () => {
    const key = { idempotencyKey: 'once' };
    const first = await submit({ ...prompt, ...key });
    expect(await submit({ ...prompt, ...key, waitMs: 1 })).toEqual(first);
    const { id } = first.job as { id: string };
    expect(await submit({ ...prompt, ...key, priority: 6 })).toMatchObject({
      __typename: 'IdempotencyConflictError',
      first: { id },
    });
  });

  it('has typed mutations, whose issues point into their own input', async () => {
    const { data } = await gateway.query(
      `mutation { generateImage(input: { prompt: "", width: 1, sampler: "euler_a", seed: 7 }) {
        __typename ... on ValidationError { issues { path } } } }`,
    );
    expect(data).toEqual({
      generateImage: { __typename: 'ValidationError', issues: [{ path: ['prompt'] }, { path: ['width'] }] },
    });
    const { data: good } = await gateway.query(
      `mutation { generateImage(input: { prompt: "a", sampler: "euler_a", seed: 7, negativePrompt: null }) {
        ... on SubmitJobSuccess { job { workflow inputs } } ... on Error { message } } }`,
    );
    expect(good).toMatchObject({
      generateImage: { job: { workflow: 'generateImage', inputs: { seed: 7, steps: 20 } } },
    });
  });

  it('takes exactly one source for a picture', async () => {
    for (const image of ['{}', '{ url: "http://a", uploadId: "b" }', '{ url: null }']) {
      const { errors } = await gateway.query(
        `mutation { upscaleImage(input: { image: ${image} }) { __typename } }`,
      );
      expect(errors?.[0]?.extensions?.code).toBe('GRAPHQL_VALIDATION_FAILED');
    }
  });

  it('says when the queue is full', async () => {
    for (let n = await count(); n < 60; n++) await gateway.addJob();
    expect(await submit(prompt)).toMatchObject({ __typename: 'QueueFullError', code: 'QUEUE_FULL' });
    await gateway.store.db.deleteFrom('jobs').where('status', '=', 'PENDING').execute();
  });

  it('waits for the end when asked to, and answers with the job as it then is', async () => {
    const stop = await startRunner(gateway, await gateway.addInstance('gpu'));
    expect(await submit({ ...prompt, waitMs: 60_000 })).toMatchObject({ job: { status: 'COMPLETED' } });
    stop();
    expect(await submit({ ...prompt, waitMs: 20 })).toMatchObject({ job: { status: 'PENDING' } });
  });

  it('says what is missing when no instance could ever run it', async () => {
    const instance = await gateway.addInstance('gpu');
    const inventory = { nodeTypes: ['LoadImage'], models: [] };
    await saveInventory(gateway.store.db, instance.id, 'key', inventory, Date.now());
    const { data } = await gateway.query(
      '{ workflow(name: "upscaleImage") { mutation runnableOn { id } missingModels missingNodeTypes inputs { name type required } } }',
    );
    expect(data).toMatchObject({
      workflow: {
        mutation: 'upscaleImage',
        runnableOn: [],
        missingModels: ['4x_NMKD-Siax_200k.pth'],
        missingNodeTypes: ['ImageUpscaleWithModel', 'SaveImage', 'UpscaleModelLoader'],
        inputs: [{ name: 'image', type: 'image', required: true }],
      },
    });
  });
});
