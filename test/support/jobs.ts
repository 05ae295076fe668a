/** What tests do with jobs, in few words: submit, follow, wait for the end. */
import type { JsonObject } from '../../src/lib/json.ts';
import { everything, firstThat, type Results, type TestClient } from './graphql-client.ts';

export interface OutputView {
  readonly __typename: string;
  readonly id: string;
  readonly node: string;
  readonly mimeType: string;
  readonly url?: string;
  readonly thumbnailUrl?: string;
  readonly filename?: string;
  readonly bytes?: number;
  readonly sha256?: string;
  readonly width?: number;
  readonly height?: number;
  readonly dataUri?: string | null;
  readonly text?: string;
}

export interface JobView {
  readonly id: string;
  readonly status: 'PENDING' | 'PROCESSING' | 'COMPLETED' | 'FAILED' | 'CANCELED';
  readonly workflow: string;
  readonly progress: {
    readonly fraction: number;
    readonly step: number | null;
    readonly totalSteps: number | null;
    readonly remainingMs: number | null;
  };
  readonly queue: { readonly position: number; readonly blockedBy: string | null } | null;
  readonly preview: { readonly id: string; readonly url: string; readonly mimeType: string } | null;
  readonly outputs: readonly OutputView[];
  readonly attempts: readonly {
    readonly number: number;
    readonly promptId: string;
    readonly outcome: string | null;
    readonly instanceName: string;
  }[];
  readonly instance: { readonly id: string; readonly name: string } | null;
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly nodeId: string | null;
    readonly nodeType: string | null;
  } | null;
  readonly retryOf: { readonly id: string } | null;
}

export const JOB = `
  id status workflow
  progress { id fraction step totalSteps remainingMs }
  queue { id position blockedBy }
  preview { id url mimeType }
  outputs {
    __typename id node mimeType
    ... on ImageOutput { url filename bytes sha256 width height }
    ... on FileOutput { url filename bytes sha256 }
    ... on TextOutput { text }
  }
  attempts { id number promptId outcome instanceName }
  instance { id name }
  error { code message nodeId nodeType }
  retryOf { id }
`;

const RESULT = `__typename
  ... on SubmitJobSuccess { job { ${JOB} } }
  ... on Error { code message }
  ... on ValidationError { issues { path message } }
  ... on WorkflowInvalidError { nodeErrors { nodeId nodeType message } }
  ... on NotRunnableError { missingNodeTypes missingModels }
  ... on IdempotencyConflictError { firstJob: job { id } }
  ... on QueueFullError { retryAfterMs }
  ... on FileTooLargeError { maxBytes }
  ... on UnsupportedMediaError { accepted }
  ... on ImageTooLargeError { width height maxPixels }
`;

export interface SubmitView {
  readonly __typename: string;
  readonly job?: JobView;
  readonly code?: string;
  readonly message?: string;
  readonly issues?: readonly { readonly path: readonly string[]; readonly message: string }[];
  readonly nodeErrors?: readonly { readonly nodeId: string; readonly message: string }[];
  readonly firstJob?: { readonly id: string } | null;
  readonly missingNodeTypes?: readonly string[];
  readonly missingModels?: readonly string[];
  readonly maxBytes?: number;
  readonly accepted?: readonly string[];
  readonly width?: number;
  readonly height?: number;
}

/** Any result of a submission; `mutation` is submitJob or a workflow's own. */
export async function submitting(client: TestClient, mutation: string, input: object): Promise<SubmitView> {
  const { result } = await client.run<{ result: SubmitView }>(submission(mutation), { input });
  return result;
}

export function submission(mutation: string): string {
  const type = `${mutation.charAt(0).toUpperCase()}${mutation.slice(1)}Input`;
  return `mutation Submit($input: ${type}!) { result: ${mutation}(input: $input) { ${RESULT} } }`;
}

/** A job that must be taken. */
export async function submitted(client: TestClient, mutation: string, input: object): Promise<JobView> {
  const result = await submitting(client, mutation, input);
  if (!result.job) throw new Error(`${mutation} was refused: ${JSON.stringify(result)}`);
  return result.job;
}

export const submitGraph = (client: TestClient, graph: JsonObject, options: object = {}): Promise<JobView> =>
  submitted(client, 'submitJob', { graph, ...options });

const FOLLOW = `subscription Follow($id: ID!) { job(id: $id) { ${JOB} } }`;

export const follow = (client: TestClient, id: string): Results<{ job: JobView }> =>
  client.watch(FOLLOW, { id });

export const followEvents = (client: TestClient, id: string): Results<{ job: JobView }> =>
  client.watchEvents(FOLLOW, { id });

/** All snapshots of a job to its end. */
export async function history(client: TestClient, id: string): Promise<JobView[]> {
  return (await everything(follow(client, id))).map(({ job }) => job);
}

/** The job at its end. */
export async function ended(client: TestClient, id: string): Promise<JobView> {
  const last = (await history(client, id)).at(-1);
  if (!last) throw new Error('the subscription sent nothing');
  return last;
}

/** The job as soon as it fits. */
export async function jobThat(
  client: TestClient,
  id: string,
  fits: (job: JobView) => boolean,
): Promise<JobView> {
  return (await firstThat(follow(client, id), ({ job }) => fits(job))).job;
}

export async function findJob(client: TestClient, id: string): Promise<JobView | null> {
  const { job } = await client.run<{ job: JobView | null }>(
    `query Job($id: ID!) { job(id: $id) { ${JOB} } }`,
    {
      id,
    },
  );
  return job;
}

/** cancelJob, retryJob or deleteJob. */
export async function act(
  client: TestClient,
  mutation: 'cancelJob' | 'retryJob' | 'deleteJob',
  id: string,
): Promise<{ __typename: string; job?: JobView; deletedJobId?: string; status?: string; code?: string }> {
  const success =
    mutation === 'deleteJob' ? 'DeleteJobSuccess { deletedJobId }' : `JobSuccess { job { ${JOB} } }`;
  const { result } = await client.run<{
    result: { __typename: string; job?: JobView; deletedJobId?: string; status?: string; code?: string };
  }>(
    `mutation Act($id: ID!) { result: ${mutation}(input: { id: $id }) {
      __typename ... on ${success} ... on Error { code } ... on InvalidStateError { status }
    } }`,
    { id },
  );
  return result;
}

export interface UploadView {
  readonly __typename: string;
  readonly image?: {
    readonly id: string;
    readonly width: number;
    readonly height: number;
    readonly sha256: string;
    readonly url: string;
    readonly mimeType: string;
  };
  readonly code?: string;
  readonly maxBytes?: number;
  readonly accepted?: readonly string[];
  readonly width?: number;
  readonly height?: number;
}

export const UPLOAD = `mutation Upload($file: Upload!) { uploadImage(input: { file: $file }) {
  __typename
  ... on UploadImageSuccess { image { id width height sha256 url mimeType } }
  ... on Error { code message }
  ... on FileTooLargeError { maxBytes }
  ... on UnsupportedMediaError { accepted }
  ... on ImageTooLargeError { width height maxPixels }
} }`;

/** Uploads a picture that must be taken; answers its id. */
export async function uploaded(client: TestClient, bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const { data } = await client.upload<{ uploadImage: UploadView }>(UPLOAD, { bytes });
  if (!data?.uploadImage.image) throw new Error(`the upload was refused: ${JSON.stringify(data)}`);
  return data.uploadImage.image.id;
}
