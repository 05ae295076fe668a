/**
 * A bucket as the blob store needs it: bytes up and down, checked at both ends, within bounded time and memory. The SDK is
 * large, so only who stores in S3 loads it.
 */
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';
import { RemovalInDoubt } from '../domain/blob-guard.ts';
import type { Clock } from '../lib/clock.ts';
import type { ByteRange } from './blob-store.ts';
import type { S3Location } from './s3-location.ts';
import { describeProblem, isAbsent, isRefused } from './s3-problem.ts';
import { type Patience, verified } from './verified.ts';

type Sdk = typeof import('@aws-sdk/client-s3');
type Transfer = typeof import('@aws-sdk/lib-storage');

export interface StoredObject {
  readonly key: string;
  readonly bytes: number;
  /** Epoch ms, by the clock of the object store. */
  readonly storedAt: number;
}

export interface BucketOptions {
  readonly clock: Clock;
  /** How long a request may take until its answer begins, and a body until its next piece comes. */
  readonly patienceMs: number;
}

export interface OpenObject {
  readonly body: Readable;
  /** Size of the whole object, in bytes. */
  readonly total: number;
}

const MB = 1024 * 1024;
/** Of a file that goes up in parts, the least that S3 takes: those on their way are held in memory. */
const PART_BYTES = 5 * MB;
const PARTS_AT_ONCE = 2;
/** Amazon takes 10,000, others less. */
const MOST_PARTS = 1000;
/** Nothing comes of one that takes longer: the pin of its blob would run out. */
const UPLOAD_MS = 20 * 60_000;
/** An upload in parts that began so long ago was left by a dead process. */
const DEAD_UPLOAD_MS = 60 * 60_000;
const CONNECT_MS = 3000;
/** Each reader of a file holds one as long as it reads. */
const SOCKETS = 1000;
const TRIES = 3;

export class S3Bucket {
  readonly #sdk: Sdk;
  readonly #transfer: Transfer;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #clock: Clock;
  readonly #patience: Patience;

  constructor(sdk: Sdk, transfer: Transfer, location: S3Location, options: BucketOptions) {
    this.#sdk = sdk;
    this.#transfer = transfer;
    this.#client = new sdk.S3Client(clientOptions(location, options.patienceMs));
    this.#bucket = location.bucket;
    this.#clock = options.clock;
    this.#patience = { clock: options.clock, stallMs: options.patienceMs };
  }

  /** What is in memory. It is refused unless its SHA-256 is the one given. */
  async put(key: string, bytes: Uint8Array, sha256: string): Promise<void> {
    const checksum = Buffer.from(sha256, 'hex').toString('base64');
    const command = new this.#sdk.PutObjectCommand({
      ...this.#at(key),
      Body: bytes,
      ContentLength: bytes.byteLength,
      ChecksumSHA256: checksum,
    });
    // Signed as the hash of the body, which every server compares with what comes, also those that know no checksums.
    command.middlewareStack.add(
      (next) => (args) => {
        (args.request as { headers: Record<string, string> }).headers['x-amz-content-sha256'] = sha256;
        return next(args);
      },
      { step: 'build', name: 'blobIsItsName' },
    );
    await this.#client.send(command);
  }

  /** A file, in parts; nothing becomes of it unless what is read of the file is what was expected. */
  async putFile(key: string, path: string, bytes: number, sha256: string): Promise<void> {
    const body = Readable.from(verified(createReadStream(path), { bytes, sha256 }, this.#patience), {
      objectMode: false,
    });
    const abortController = new AbortController();
    const upload = new this.#transfer.Upload({
      client: this.#client,
      params: { ...this.#at(key), Body: body },
      partSize: Math.max(PART_BYTES, Math.ceil(bytes / MOST_PARTS)),
      queueSize: PARTS_AT_ONCE,
      abortController,
    });
    const timer = this.#clock.after(UPLOAD_MS, () => abortController.abort());
    try {
      await upload.done();
    } finally {
      timer.cancel();
      body.destroy();
    }
  }

  /** Null when there is none. The range must lie in the object. */
  async get(key: string, range?: ByteRange): Promise<OpenObject | null> {
    const Range = range && `bytes=${range.start}-${range.end}`;
    const found = await orNull(
      this.#client.send(new this.#sdk.GetObjectCommand({ ...this.#at(key), Range })),
    );
    if (!found) return null;
    const whole = found.ContentRange?.split('/')[1] ?? found.ContentLength;
    return { body: found.Body as Readable, total: Number(whole) };
  }

  async head(key: string): Promise<StoredObject | null> {
    const found = await orNull(this.#client.send(new this.#sdk.HeadObjectCommand(this.#at(key))));
    return (
      found && {
        key,
        bytes: found.ContentLength ?? 0,
        storedAt: found.LastModified?.getTime() ?? this.#clock.now(),
      }
    );
  }

  /**
   * That there is none is fine. @throws when it refused, and RemovalInDoubt when it did not answer within `ms`, or not every
   * try: it may yet do what nobody waits for any more.
   */
  async delete(key: string, ms: number): Promise<void> {
    const command = new this.#sdk.DeleteObjectCommand(this.#at(key));
    const deleting = this.#within(ms, (abortSignal) => this.#client.send(command, { abortSignal }));
    const answer = await orNull(deleting).catch((error: unknown) => {
      throw isRefused(error) ? error : new RemovalInDoubt(describeProblem(error));
    });
    if ((answer?.$metadata.attempts ?? 1) > 1) throw new RemovalInDoubt('only a second try was answered');
  }

  /** In the order of their keys. */
  async list(prefix: string, limit: number, after: string | undefined): Promise<StoredObject[]> {
    const { Contents = [] } = await this.#client.send(
      new this.#sdk.ListObjectsV2Command({
        Bucket: this.#bucket,
        Prefix: prefix,
        MaxKeys: limit,
        StartAfter: after,
      }),
    );
    return Contents.flatMap(({ Key: key, Size: bytes = 0, LastModified }) =>
      key === undefined ? [] : [{ key, bytes, storedAt: LastModified?.getTime() ?? this.#clock.now() }],
    );
  }

  /** Ends the uploads that dead processes left half done under the prefix; how many. */
  async sweepUploads(prefix: string, olderThanMs: number): Promise<number> {
    const before = this.#clock.now() - Math.max(olderThanMs, DEAD_UPLOAD_MS);
    let swept = 0;
    let KeyMarker: string | undefined;
    let UploadIdMarker: string | undefined;
    do {
      const where = { Bucket: this.#bucket, Prefix: prefix, KeyMarker, UploadIdMarker };
      const page = await this.#client.send(new this.#sdk.ListMultipartUploadsCommand(where));
      for (const { Key = '', UploadId, Initiated } of page.Uploads ?? []) {
        if (!Initiated || Initiated.getTime() > before) continue;
        const abort = new this.#sdk.AbortMultipartUploadCommand({ ...this.#at(Key), UploadId });
        // another process may have ended it since
        if (await orNull(this.#client.send(abort))) swept++;
      }
      KeyMarker = page.IsTruncated ? page.NextKeyMarker : undefined;
      UploadIdMarker = page.NextUploadIdMarker;
    } while (KeyMarker !== undefined);
    return swept;
  }

  /** @throws when it cannot be reached, or is not there. */
  async check(ms: number): Promise<void> {
    const command = new this.#sdk.HeadBucketCommand({ Bucket: this.#bucket });
    await this.#within(ms, (abortSignal) => this.#client.send(command, { abortSignal }));
  }

  /** Another process may do the same at this moment. */
  async create(): Promise<void> {
    try {
      await this.#client.send(new this.#sdk.CreateBucketCommand({ Bucket: this.#bucket }));
    } catch (error) {
      if (!(error instanceof Error && error.name === 'BucketAlreadyOwnedByYou')) throw error;
    }
  }

  /** Nothing is sent any more. */
  destroy(): void {
    this.#client.destroy();
  }

  #at(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#bucket, Key: key };
  }

  async #within<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const abort = new AbortController();
    const timer = this.#clock.after(ms, () => abort.abort());
    try {
      return await work(abort.signal);
    } finally {
      timer.cancel();
    }
  }
}

/** Loads the SDK. Nothing is sent before the first use. */
export async function openBucket(location: S3Location, options: BucketOptions): Promise<S3Bucket> {
  const [sdk, transfer] = await Promise.all([import('@aws-sdk/client-s3'), import('@aws-sdk/lib-storage')]);
  return new S3Bucket(sdk, transfer, location, options);
}

function clientOptions({ endpoint, region, pathStyle }: S3Location, requestTimeout: number) {
  return {
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    forcePathStyle: pathStyle,
    maxAttempts: TRIES,
    // The body's hash is signed; further checksums come as trailers, which not every server understands.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // Bodies are at most a part long: not worth a round trip, and a connection of its own, to ask whether they are wanted.
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout,
      throwOnRequestTimeout: true,
      // A reader that pauses is not a server that stalls.
      socketTimeout: 0,
      httpAgent: { keepAlive: true, maxSockets: SOCKETS },
      httpsAgent: { keepAlive: true, maxSockets: SOCKETS },
    },
  } as const;
}

async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}
