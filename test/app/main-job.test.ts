/** The main job, end to end: a picture goes up, a job runs, progress is seen, the result comes down. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { dataOf, everything } from '../support/graphql-client.ts';
import { follow, followEvents, type JobView, submission, submitted, uploaded } from '../support/jobs.ts';
import { sharedGateway } from '../support/running-gateway.ts';

const picture = await readFile(new URL('../../assets/orange.png', import.meta.url));
const gateway = sharedGateway({ instances: [{ nodeMs: 10 }] });

async function download(url: string | undefined): Promise<Buffer> {
  const response = await fetch(url ?? 'no url');
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

function expectGoodStream(snapshots: readonly JobView[]): JobView {
  const fractions = snapshots.map((job) => job.progress.fraction);
  expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
  expect(snapshots.filter((job) => job.status === 'COMPLETED')).toHaveLength(1);
  const last = snapshots.at(-1);
  if (!last) throw new Error('nothing was sent');
  expect(last).toMatchObject({ status: 'COMPLETED', error: null, queue: null, preview: null });
  expect(last.progress.fraction).toBe(1);
  return last;
}

async function expectCutOut({ outputs }: JobView): Promise<void> {
  expect(outputs).toHaveLength(1);
  const [output] = outputs;
  const bytes = await download(output?.url);
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(output?.sha256);
  expect(bytes.length).toBe(output?.bytes);
  const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height, info.channels]).toEqual([output?.width, output?.height, 4]);
  const alphas = new Set(data.filter((_, index) => index % 4 === 3));
  expect(alphas.has(0) && alphas.has(255)).toBe(true);
}

describe('removing the background of an uploaded picture', () => {
  it('is followed over WebSocket from a snapshot to COMPLETED, and the result has been cut out', async () => {
    const { client } = gateway();
    const uploadId = await uploaded(client, picture);
    const job = await submitted(client, 'removeBackground', { image: { uploadId } });

    const snapshots = await everything(follow(client, job.id));

    expect(snapshots[0]?.job.id).toBe(job.id);
    await expectCutOut(expectGoodStream(snapshots.map((each) => each.job)));
  });

  it('is followed the same way as server-sent events', async () => {
    const { client } = gateway();
    const uploadId = await uploaded(client, picture);
    const job = await submitted(client, 'removeBackground', { image: { uploadId } });

    const snapshots = await everything(followEvents(client, job.id));

    await expectCutOut(expectGoodStream(snapshots.map((each) => each.job)));
  });

  it('takes the picture in the request that submits the job', async () => {
    const { client } = gateway();
    const query = submission('removeBackground')
      .replace('($input: RemoveBackgroundInput!)', '($file: Upload!)')
      .replace('$input', '{ image: { upload: $file }, waitMs: 20000 }');
    const answer = dataOf(await client.upload<{ result: { job: JobView } }>(query, { bytes: picture }));

    expect(answer.result.job.status).toBe('COMPLETED');
    await expectCutOut(answer.result.job);
  });

  it('takes an output of an earlier job, and a data URI', async () => {
    const { client } = gateway();
    const dataUri = `data:image/png;base64,${picture.toString('base64')}`;
    const first = await submitted(client, 'upscaleImage', { image: { dataUri }, waitMs: 20_000 });
    expect(first.status).toBe('COMPLETED');
    const outputId = first.outputs[0]?.id;

    const second = await submitted(client, 'removeBackground', { image: { outputId }, waitMs: 20_000 });

    expect(second.status).toBe('COMPLETED');
    const { width, height } = await sharp(picture).metadata();
    expect(second.outputs[0]).toMatchObject({ width: width * 4, height: height * 4 });
  });
});

describe('the same inputs submitted twice', () => {
  it('give two jobs with files of their own', async () => {
    const { client } = gateway();
    const uploadId = await uploaded(client, picture);
    const input = { image: { uploadId }, waitMs: 20_000 };
    const twins = [
      await submitted(client, 'upscaleImage', input),
      await submitted(client, 'upscaleImage', input),
    ];

    expect(twins.map((job) => job.status)).toEqual(['COMPLETED', 'COMPLETED']);
    const outputs = twins.flatMap((job) => job.outputs);
    expect(outputs).toHaveLength(2);
    for (const field of ['id', 'url', 'filename'] as const) {
      expect(new Set(outputs.map((output) => output[field])).size).toBe(2);
    }
  });
});
