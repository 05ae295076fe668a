/**
 * The blob store in a bucket of S3, or of a server that speaks like it. A small blob goes up from memory in one request, a
 * larger one from a file on the local disk, in parts; what comes down is checked while it passes.
 */
import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type BlobGuard, REMOVAL_MS, RemovalInDoubt } from '../domain/blob-guard.ts';
import { assert, present } from '../lib/assert.ts';
import type { Clock } from '../lib/clock.ts';
import { Gate } from '../lib/gate.ts';
import { KeyLock } from '../lib/key-lock.ts';
import type { Logger } from '../lib/logger.ts';
import type {
  BlobStore,
  ByteRange,
  ListedBlob,
  OpenBlob,
  PutOptions,
  PutResult,
  RemoveResult,
} from './blob-store.ts';
import { isDiskFull } from './fs-error.ts';
import { StagingFile, takeIn } from './intake.ts';
import { openBucket, type S3Bucket } from './s3-bucket.ts';
import { S3Keys } from './s3-keys.ts';
import type { S3Location } from './s3-location.ts';
import { describeProblem, isFull, unavailable } from './s3-problem.ts';
import { readyBucket } from './s3-start.ts';
import { StorageUnavailable } from './storage-unavailable.ts';
import { sweepFolder } from './sweep-folder.ts';
import { verified } from './verified.ts';

export interface S3StoreOptions {
  readonly location: S3Location;
  /** On the local disk, for what is too large for memory; made if missing. */
  readonly spool: string;
  readonly clock: Clock;
  /** Of all processes that share the bucket. */
  readonly guard: BlobGuard;
  readonly logger: Logger;
  /** How long a request may take until its answer begins, and a body until its next piece comes; default 30 s. */
  readonly patienceMs?: number;
}

interface Received {
  readonly key: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly held: Uint8Array | null;
  readonly staging: StagingFile;
}

/** Files on their way up at once: each holds some parts in memory. */
const FILES_AT_ONCE = 4;
const PATIENCE_MS = 30_000;
const STALE_SPOOL_MS = 3_600_000;
const CHECK_MS = 2000;

export class S3Store implements BlobStore {
  readonly #options: S3StoreOptions;
  readonly #keys: S3Keys;
  readonly #lock = new KeyLock();
  readonly #gate = new Gate(FILES_AT_ONCE);
  readonly #stopping = new AbortController();
  /** Spool files of puts in progress. */
  readonly #writing = new Set<string>();
  #opened: S3Bucket | undefined;

  constructor(options: S3StoreOptions) {
    this.#options = options;
    this.#keys = new S3Keys(options.location.prefix);
  }

  /** @throws when the bucket is not there or may not be used; that it does not answer may pass, and is only logged. */
  async start(): Promise<void> {
    const { location, spool, clock, logger } = this.#options;
    await mkdir(spool, { recursive: true });
    await sweepFolder(spool, clock.now() - STALE_SPOOL_MS, this.#writing);
    this.#opened = await openBucket(location, { clock, patienceMs: this.#patienceMs });
    await readyBucket(this.#bucket, location, logger);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#opened?.destroy();
    this.#opened = undefined;
  }

  async put<A = undefined, R = never>(
    tenant: string,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options: PutOptions<A, R>,
  ): Promise<PutResult<A, R>> {
    const staging = new StagingFile(join(this.#options.spool, randomUUID()));
    this.#writing.add(staging.path);
    try {
      const intake = await takeIn(source, options.maxBytes, staging);
      if (!intake.ok) return { stored: false, reason: 'too-large', maxBytes: options.maxBytes };
      const { sha256, bytes, held } = intake;
      const verdict = await options.inspect?.(held ?? staging.path, bytes);
      if (verdict && !verdict.ok) return { stored: false, reason: 'rejected', rejection: verdict.rejection };
      const key = this.#keys.keyOf(tenant, sha256);
      const pin = await this.#options.guard.pin(tenant, sha256).catch(() => null);
      if (!pin) return { stored: false, reason: 'unavailable' };
      const problem = await this.#upload({ key, ...intake, staging });
      if (problem === null) return { stored: true, sha256, bytes, inspected: verdict?.value as A, pin };
      pin.release();
      return { stored: false, reason: problem };
    } catch (error) {
      if (isDiskFull(error)) return { stored: false, reason: 'no-space' };
      if (error instanceof StorageUnavailable) return { stored: false, reason: 'unavailable' };
      throw error;
    } finally {
      await staging.discard();
      this.#writing.delete(staging.path);
    }
  }

  async open(tenant: string, sha256: string, range?: ByteRange): Promise<OpenBlob | null> {
    const key = this.#keys.keyOf(tenant, sha256);
    const found = await this.#ask((bucket) => bucket.get(key, range));
    if (!found) return null;
    const { body, total } = found;
    if (range && !(range.start >= 0 && range.start <= range.end && range.end < total)) {
      body.destroy();
      assert(false, 'the range lies in the blob');
    }
    const expected = range ? { bytes: range.end - range.start + 1, sha256: null } : { bytes: total, sha256 };
    const patience = { clock: this.#options.clock, stallMs: this.#patienceMs };
    const stream = Readable.from(verified(body, expected, patience), { objectMode: false });
    // a generator that waits for the next piece hears nothing of it
    stream.once('close', () => body.destroy());
    return { stream, total };
  }

  async toBuffer(tenant: string, sha256: string, maxBytes: number): Promise<Buffer | null> {
    const opened = await this.open(tenant, sha256);
    if (!opened) return null;
    if (opened.total <= maxBytes)
      return buffer(opened.stream).catch((error) => Promise.reject(unavailable(error)));
    opened.stream.destroy();
    return null;
  }

  async stat(tenant: string, sha256: string): Promise<{ readonly bytes: number } | null> {
    const key = this.#keys.keyOf(tenant, sha256);
    const found = await this.#ask((bucket) => bucket.head(key));
    return found && { bytes: found.bytes };
  }

  async remove(
    tenant: string,
    sha256: string,
    stillUnreferenced: () => Promise<boolean>,
    putBefore = Number.POSITIVE_INFINITY,
  ): Promise<RemoveResult> {
    const { guard, clock } = this.#options;
    const key = this.#keys.keyOf(tenant, sha256);
    // Asked before the guard is held, which must be short.
    const found = await this.#ask((bucket) => bucket.head(key));
    if (!found) return 'absent';
    if (found.storedAt >= putBefore) return 'in-use';
    const removing = guard.unlessPinned<RemoveResult>(tenant, sha256, async () => {
      const since = clock.monotonic();
      if (!(await stillUnreferenced())) return 'referenced';
      if (clock.monotonic() - since > REMOVAL_MS) return 'in-use';
      await this.#bucket.delete(key, REMOVAL_MS).catch((error: unknown) => {
        // the guard must hear of it
        throw error instanceof RemovalInDoubt ? error : unavailable(error);
      });
      return 'removed';
    });
    const removed = await removing.catch((error: unknown) => {
      throw error instanceof RemovalInDoubt ? unavailable(error) : error;
    });
    return removed ?? 'in-use';
  }

  async list(limit: number, after?: Pick<ListedBlob, 'tenant' | 'sha256'>): Promise<ListedBlob[]> {
    const listed: ListedBlob[] = [];
    let last = after && this.#keys.keyOf(after.tenant, after.sha256);
    while (listed.length < limit) {
      const wanted = limit - listed.length;
      const objects = await this.#ask((bucket) => bucket.list(this.#keys.folder, wanted, last));
      for (const { key, bytes, storedAt } of objects) {
        const name = this.#keys.read(key);
        // what is not ours is left alone
        if (name) listed.push({ ...name, bytes, storedAt });
      }
      last = objects.at(-1)?.key;
      if (last === undefined) break;
    }
    return listed;
  }

  async sweepStaging(olderThanMs: number): Promise<number> {
    const { spool, clock } = this.#options;
    const spooled = await sweepFolder(spool, clock.now() - olderThanMs, this.#writing);
    return spooled + (await this.#ask((bucket) => bucket.sweepUploads(this.#keys.folder, olderThanMs)));
  }

  async freeBytes(): Promise<null> {
    await this.#ask((bucket) => bucket.check(CHECK_MS));
    return null;
  }

  /** Null once the blob is there; else what kept it from being stored. */
  async #upload(received: Received): Promise<'no-space' | 'unavailable' | null> {
    const { key, sha256, bytes, held, staging } = received;
    try {
      await this.#lock.run(key, async () => {
        if ((await this.#bucket.head(key))?.bytes === bytes) return;
        if (held) return this.#bucket.put(key, held, sha256);
        const upload = async (): Promise<boolean> => {
          await this.#bucket.putFile(key, staging.path, bytes, sha256);
          return true;
        };
        if (!(await this.#gate.run(upload, this.#stopping.signal))) throw new Error('the storage stops');
      });
      return null;
    } catch (error) {
      const problem = isFull(error) ? 'no-space' : 'unavailable';
      this.#options.logger.warn({ problem: describeProblem(error) }, 'the object store took no file');
      return problem;
    }
  }

  /** Every failure comes as one that may pass. */
  async #ask<T>(work: (bucket: S3Bucket) => Promise<T>): Promise<T> {
    const bucket = this.#bucket;
    try {
      return await work(bucket);
    } catch (error) {
      throw unavailable(error);
    }
  }

  get #patienceMs(): number {
    return this.#options.patienceMs ?? PATIENCE_MS;
  }

  get #bucket(): S3Bucket {
    return present(this.#opened, 'a started storage');
  }
}
