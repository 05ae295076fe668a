/** What the demo does, as a user of the GraphQL API would: upload, submit, watch, download. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DemoDisplay } from './demo-display.ts';
import type { Expectation, SavedFile } from './demo-verify.ts';
import type { GatewayClient } from './gateway-client.ts';

export interface DemoJob {
  readonly id: string;
  readonly title: string;
  readonly expectation: Expectation;
}

export interface WatchedJob {
  readonly job: DemoJob;
  readonly status: string;
  readonly files: readonly SavedFile[];
  readonly problems: readonly string[];
}

interface Snapshot {
  readonly id: string;
  readonly status: 'PENDING' | 'PROCESSING' | 'COMPLETED' | 'FAILED' | 'CANCELED';
  readonly progress: {
    readonly fraction: number;
    readonly nodeType: string | null;
    readonly remainingMs: number | null;
  };
  readonly queue: { readonly position: number; readonly blockedBy: string | null } | null;
  readonly instance: { readonly name: string } | null;
  readonly error: { readonly message: string } | null;
  readonly runMs: number | null;
  readonly outputs: readonly {
    readonly filename?: string;
    readonly url?: string;
    readonly sha256?: string;
    readonly width?: number;
    readonly height?: number;
  }[];
}

const UPLOAD = `mutation Upload($file: Upload!) {
  uploadImage(input: { file: $file }) {
    ... on UploadImageSuccess { image { id width height } }
    ... on Error { message }
  }
}`;

const WATCH = `subscription Watch($id: ID!) {
  job(id: $id) {
    id status runMs
    progress { id fraction nodeType remainingMs }
    queue { id position blockedBy }
    instance { id name }
    error { message }
    outputs { ... on ImageOutput { id filename url sha256 width height } }
  }
}`;

/** Uploads a picture and answers its id and size. @throws Error when the gateway refuses it. */
export async function uploadPicture(client: GatewayClient, bytes: Uint8Array<ArrayBuffer>, filename: string) {
  type Answer = { uploadImage: { message?: string; image?: { id: string; width: number; height: number } } };
  const { uploadImage } = await client.upload<Answer>(
    UPLOAD,
    new Blob([bytes], { type: 'image/png' }),
    filename,
  );
  if (!uploadImage.image) throw new Error(uploadImage.message ?? 'the upload was refused');
  return uploadImage.image;
}

/** Submits through a workflow's typed mutation and answers the job's id. @throws Error when it is refused. */
export async function submit(
  client: GatewayClient,
  mutation: string,
  input: Record<string, unknown>,
): Promise<string> {
  const type = `${mutation.charAt(0).toUpperCase()}${mutation.slice(1)}Input`;
  const query = `mutation Submit($input: ${type}!) {
    result: ${mutation}(input: $input) { ... on SubmitJobSuccess { job { id } } ... on Error { message } }
  }`;
  const { result } = await client.execute<{ result: { message?: string; job?: { id: string } } }>(query, {
    input,
  });
  if (!result.job) throw new Error(result.message ?? `${mutation} was refused`);
  return result.job.id;
}

/** Follows a job to its end on the subscription, shows it, and saves its pictures. */
export async function watchAndSave(
  client: GatewayClient,
  job: DemoJob,
  folder: string,
  display: DemoDisplay,
): Promise<WatchedJob> {
  let last: Snapshot | undefined;
  for await (const { data } of client.watch<{ job: Snapshot }>(WATCH, { id: job.id })) {
    if (!data) continue;
    last = data.job;
    display.job(job.id, { title: job.title, fraction: last.progress.fraction, note: noteOf(last) });
  }
  if (last?.status !== 'COMPLETED') {
    const reason = last?.error?.message ?? 'the subscription ended early';
    return { job, status: last?.status ?? 'UNKNOWN', files: [], problems: [`${job.title}: ${reason}`] };
  }
  const files = await Promise.all(last.outputs.map((output, index) => save(output, job, index, folder)));
  const problems = files.length === 0 ? [`${job.title}: completed without a picture`] : [];
  return { job, status: last.status, files, problems };
}

function noteOf(job: Snapshot): string {
  switch (job.status) {
    case 'PENDING':
      return job.queue?.blockedBy ?? `waiting, place ${job.queue?.position ?? '?'}`;
    case 'PROCESSING':
      return `on ${job.instance?.name ?? '?'}${job.progress.nodeType ? `: ${job.progress.nodeType}` : ''}`;
    case 'COMPLETED':
      return `done on ${job.instance?.name ?? '?'} in ${((job.runMs ?? 0) / 1000).toFixed(1)} s`;
    default:
      return `${job.status.toLowerCase()}: ${job.error?.message ?? ''}`;
  }
}

async function save(
  output: Snapshot['outputs'][number],
  job: DemoJob,
  index: number,
  folder: string,
): Promise<SavedFile> {
  const { url, sha256, width, height, filename } = output;
  if (!url || !sha256 || !width || !height) throw new Error(`${job.title}: output ${index} is not a picture`);
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${job.title}: ${filename} answered ${response.status}`);
  const name = `${job.title.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}-${index + 1}.png`;
  const path = join(folder, name);
  await writeFile(path, new Uint8Array(await response.arrayBuffer()));
  return { jobId: job.id, path, sha256, width, height };
}
