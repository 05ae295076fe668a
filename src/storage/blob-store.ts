/**
 * The contract of a store for bytes: uploads and outputs, named by their SHA-256 within a tenant, so that the same
 * picture is stored once and never shared between tenants. Rows say who refers to a blob; the store knows nothing of them.
 */
import type { Readable } from 'node:stream';
import type { BlobPin } from '../domain/blob-guard.ts';
import type { Service } from '../lib/service.ts';

export type { BlobPin } from '../domain/blob-guard.ts';

/** Bytes to look at: in memory when small, else the path of a file. */
export type Content = Uint8Array | string;

/** The verdict on bytes that are not stored yet. */
export type Inspection<A, R> =
  | { readonly ok: true; readonly value: A }
  | { readonly ok: false; readonly rejection: R };

export interface PutOptions<A, R> {
  readonly maxBytes: number;
  /** Runs before the bytes become a blob, so that a bad picture never is one. The content is valid only during the call. */
  readonly inspect?: (content: Content, bytes: number) => Promise<Inspection<A, R>>;
  /**
   * The bytes are written while `inspect` looks at them: sooner done where few are refused. Default false: what is refused
   * never touches the disk if it is small.
   */
  readonly rarelyRejects?: boolean;
}

export type PutResult<A = undefined, R = never> =
  | {
      readonly stored: true;
      readonly sha256: string;
      readonly bytes: number;
      /** What `inspect` answered; undefined without one. */
      readonly inspected: A;
      readonly pin: BlobPin;
    }
  | { readonly stored: false; readonly reason: 'too-large'; readonly maxBytes: number }
  | { readonly stored: false; readonly reason: 'rejected'; readonly rejection: R }
  /** `unavailable`: storage, or the guard of its blobs, does not answer. Both may pass. */
  | { readonly stored: false; readonly reason: 'no-space' | 'unavailable' };

/** First and last byte, both included, counted from 0. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** A blob being read. The reader must consume or destroy the stream. */
export interface OpenBlob {
  readonly stream: Readable;
  /** Size of the whole blob, in bytes. */
  readonly total: number;
}

/** A blob as a listing names it. */
export interface ListedBlob {
  readonly tenant: string;
  readonly sha256: string;
  readonly bytes: number;
  /** When its bytes were put, epoch ms: of a later put of the same bytes the listing may know nothing. */
  readonly storedAt: number;
}

/** `in-use`: pinned, put too recently for the asker, or the guard was held for too long to be sure of it. */
export type RemoveResult = 'removed' | 'absent' | 'referenced' | 'in-use';

export interface BlobStore extends Service {
  /**
   * Streams in, hashing on the way; the blob is complete and durable once this resolves, and nothing is left behind otherwise.
   * An error of the source (the client went away) is thrown on; so is a disk that fails otherwise than by being full. What
   * is stored is pinned before it is looked for, so that nobody removes what a put counts on.
   */
  put<A = undefined, R = never>(
    tenant: string,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options: PutOptions<A, R>,
  ): Promise<PutResult<A, R>>;
  /** Null when there is no such blob. A range outside the blob is the caller's bug: read `stat` first. */
  open(tenant: string, sha256: string, range?: ByteRange): Promise<OpenBlob | null>;
  /** The whole blob; null when absent or larger than `maxBytes`. */
  toBuffer(tenant: string, sha256: string, maxBytes: number): Promise<Buffer | null>;
  stat(tenant: string, sha256: string): Promise<{ readonly bytes: number } | null>;
  /**
   * Removes the blob unless it is pinned or the question, asked while nobody can pin the blob, is answered with false.
   * `in-use` asks the caller to try again later. One put at `putBefore` (epoch ms) or later is in use.
   */
  remove(
    tenant: string,
    sha256: string,
    stillUnreferenced: () => Promise<boolean>,
    putBefore?: number,
  ): Promise<RemoveResult>;
  /** Blobs in a stable order, from after the given one. One put meanwhile may be among them or not. */
  list(limit: number, after?: Pick<ListedBlob, 'tenant' | 'sha256'>): Promise<ListedBlob[]>;
  /** Removes what a put of a dead process left half-written this long ago; how many. Never that of a put in progress. */
  sweepStaging(olderThanMs: number): Promise<number>;
  /** Bytes that can still be stored; null where there is no such limit. Rejects when the storage does not answer. */
  freeBytes(): Promise<number | null>;
}
