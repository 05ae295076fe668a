/**
 * What one user does, through whatever lies between: uploads a picture in pieces, submits a job that takes it, follows the
 * job over a WebSocket, downloads the result and looks whether it is the same picture. Whatever breaks is tried again, as
 * clients do; each try has an end.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import sharp from 'sharp';
import { Agent, request } from 'undici';
import { WebSocket } from 'ws';
import type { JsonObject } from '../../src/lib/json.ts';
import { UPLOAD } from '../../test/support/jobs.ts';

const PIECE_BYTES = 16 * 1024;
const TRY_MS = 20_000;
const PAUSE_MS = 300;
const MAX_TRIES = 30;

const SUBMIT = `mutation ($input: SubmitJobInput!) { submitJob(input: $input) {
  __typename ... on SubmitJobSuccess { job { id } } ... on Error { code message } } }`;
const FOLLOW = `subscription ($id: ID!) { job(id: $id) { status error { code }
  outputs { ... on ImageOutput { url sha256 width height } } } }`;

export interface Journey {
  /** ms of each part and of all. */
  readonly upload: number;
  readonly submit: number;
  readonly follow: number;
  readonly download: number;
  readonly whole: number;
  /** Requests that were sent again, and connections of the subscription after the first. */
  readonly again: number;
  /** As clients have it. */
  readonly jobId: string;
  /** What was wrong with the result; null when it is the picture that was sent. */
  readonly flaw: string | null;
}

interface Result {
  readonly url: string;
  readonly sha256: string;
}

interface View {
  readonly job: {
    readonly status: string;
    readonly error: { readonly code: string } | null;
    readonly outputs: readonly Result[];
  };
}

export class User {
  readonly #url: string;
  readonly #side: number;
  /** Its own, so that no user is spared a connection by another. */
  readonly #agent = new Agent({ connections: 2, pipelining: 1, headersTimeout: TRY_MS, bodyTimeout: TRY_MS });
  #again = 0;

  /** `side`: pixels of its pictures. */
  constructor(url: string, side: number) {
    this.#url = url;
    this.#side = side;
  }

  async travel(): Promise<Journey> {
    const startedAt = performance.now();
    const marks: number[] = [];
    const mark = (): void => void marks.push(performance.now() - startedAt);
    const pixels = randomBytes(this.#side * this.#side * 3);
    const raw = { width: this.#side, height: this.#side, channels: 3 as const };
    const png = await sharp(pixels, { raw }).png().toBuffer();
    mark();
    const uploadId = await this.#upload(png);
    mark();
    const jobId = await this.#submit(uploadId);
    mark();
    const result = await this.#follow(jobId);
    mark();
    const flaw = typeof result === 'string' ? result : await this.#download(result, pixels);
    mark();
    await this.#agent.close();
    const [made = 0, uploaded = 0, submitted = 0, followed = 0, downloaded = 0] = marks;
    return {
      upload: uploaded - made,
      submit: submitted - uploaded,
      follow: followed - submitted,
      download: downloaded - followed,
      whole: downloaded - made,
      again: this.#again,
      jobId,
      flaw,
    };
  }

  async #upload(png: Buffer): Promise<string> {
    const boundary = randomUUID();
    const headers = {
      'content-type': `multipart/form-data; boundary=${boundary}`,
      'graphql-require-preflight': 'true',
    };
    const { uploadImage } = await this.#insist<{ uploadImage: { image?: { id: string } } }>(() => ({
      headers,
      body: pieces(boundary, png),
    }));
    if (!uploadImage.image) throw new Error(`an upload was refused: ${JSON.stringify(uploadImage)}`);
    return uploadImage.image.id;
  }

  async #submit(uploadId: string): Promise<string> {
    const graph: JsonObject = {
      '1': { class_type: 'LoadImage', inputs: { image: { $file: { uploadId } } } },
      '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'journey' } },
    };
    const variables = { input: { graph, idempotencyKey: randomUUID() } };
    const body = JSON.stringify({ query: SUBMIT, variables });
    const headers = { 'content-type': 'application/json' };
    const { submitJob } = await this.#insist<{ submitJob: { job?: { id: string } } }>(() => ({
      headers,
      body,
    }));
    if (!submitJob.job) throw new Error(`a job was refused: ${JSON.stringify(submitJob)}`);
    return submitJob.job.id;
  }

  /** The data of the answer, asked for until there is one. @throws when none of many tries works. */
  async #insist<T>(
    make: () => { headers: Record<string, string>; body: string | AsyncIterable<Uint8Array> },
  ): Promise<T> {
    return this.#repeat(async () => {
      const { headers, body } = make();
      const response = await request(`${this.#url}/graphql`, {
        method: 'POST',
        dispatcher: this.#agent,
        headers,
        body: body as string,
        signal: AbortSignal.timeout(TRY_MS),
      });
      const text = await response.body.text();
      const { data, errors } = response.statusCode < 500 ? JSON.parse(text) : { data: null, errors: text };
      if (!data) throw new Error(`${response.statusCode} ${JSON.stringify(errors).slice(0, 300)}`);
      return data as T;
    });
  }

  async #repeat<T>(work: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await work();
      } catch (error) {
        if (tries === MAX_TRIES) throw error;
        this.#again += 1;
        await sleep(PAUSE_MS);
      }
    }
  }

  /** To the end of the job, with the client that most frontends have below. Answers what is wrong, or its picture. */
  async #follow(id: string): Promise<string | Result> {
    let connections = 0;
    const client = createClient({
      url: `${this.#url.replace(/^http/, 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      retryAttempts: MAX_TRIES,
      shouldRetry: () => true,
      retryWait: () => sleep(PAUSE_MS),
      connectionAckWaitTimeout: TRY_MS,
      keepAlive: 5000,
      on: { opened: () => (connections += 1) },
    });
    try {
      let last: View['job'] | undefined;
      for await (const { data, errors } of client.iterate<View>({ query: FOLLOW, variables: { id } })) {
        if (errors) return `the subscription failed: ${JSON.stringify(errors).slice(0, 300)}`;
        if (data) last = data.job;
      }
      this.#again += connections - 1;
      const [output] = last?.outputs ?? [];
      if (last?.status === 'COMPLETED' && output) return output;
      return `the job ended as ${last?.status} ${last?.error?.code ?? ''}`;
    } finally {
      await client.dispose();
    }
  }

  /** Null when what comes is what was uploaded. */
  async #download({ url, sha256 }: Result, sent: Buffer): Promise<string | null> {
    const bytes = await this.#repeat(async () => {
      const signal = AbortSignal.timeout(TRY_MS);
      const { statusCode, body } = await request(url, { dispatcher: this.#agent, signal });
      const received = Buffer.from(await body.arrayBuffer());
      if (statusCode !== 200) throw new Error(`a download is answered ${statusCode}`);
      return received;
    });
    if (createHash('sha256').update(bytes).digest('hex') !== sha256)
      return 'the bytes are not those of the sum';
    const pixels = await sharp(bytes).removeAlpha().raw().toBuffer();
    return pixels.equals(sent) ? null : 'the picture is not the one that was sent';
  }
}

/** By the GraphQL multipart request specification, a piece at a time, its length not known beforehand. */
async function* pieces(boundary: string, file: Buffer): AsyncGenerator<Uint8Array> {
  const field = (name: string, value: string): string =>
    `--${boundary}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
  const head =
    field('operations', JSON.stringify({ query: UPLOAD, variables: { file: null } })) +
    field('map', JSON.stringify({ 0: ['variables.file'] })) +
    `--${boundary}\r\ncontent-disposition: form-data; name="0"; filename="picture.png"\r\ncontent-type: image/png\r\n\r\n`;
  yield Buffer.from(head);
  for (let at = 0; at < file.length; at += PIECE_BYTES) {
    yield file.subarray(at, at + PIECE_BYTES);
    await sleep(1);
  }
  yield Buffer.from(`\r\n--${boundary}--\r\n`);
}
