/**
 * Takes pictures in: streamed into storage, judged by their content before they become a blob, written down as upload
 * rows. A received picture is pinned until it is kept (the row is committed) or dropped.
 */
import { type CrashHook, neverCrash } from '../domain/crash-points.ts';
import type { StoredUpload } from '../domain/output.ts';
import type { Viewer } from '../domain/viewer.ts';
import { assertNever } from '../lib/assert.ts';
import type { Clock } from '../lib/clock.ts';
import type { BlobStore, Content, Inspection, PutResult } from '../storage/blob-store.ts';
import { type ImageFacts, probeImage, UPLOAD_TYPES } from '../storage/image-probe.ts';
import { isReferenced } from '../store/blobs.ts';
import type { Store } from '../store/open.ts';
import { findUpload, insertUpload } from '../store/uploads.ts';
import { displayName } from './display-name.ts';
import type { FileStream } from './sources.ts';
import type { FileRefusal } from './submission.ts';

export interface UploadsOptions {
  readonly store: Store;
  readonly storage: BlobStore;
  readonly clock: Clock;
  readonly ids: () => string;
  readonly limits: { readonly maxUploadBytes: number; readonly maxUploadPixels: number };
  readonly crashAt?: CrashHook | undefined;
  /** A picture came in; told for figures. */
  readonly onReceived?: ((bytes: number) => void) | undefined;
}

/** Bytes in storage that no row names yet. Exactly one of `keep` and `drop` must be called. */
export interface ReceivedFile {
  readonly sha256: string;
  readonly mimeType: string;
  /** Writes the upload row. */
  keep(): Promise<StoredUpload>;
  /** Removes the bytes again unless something else refers to them. */
  drop(): Promise<void>;
}

export type UploadResult = { readonly kind: 'stored'; readonly upload: StoredUpload } | FileRefusal;
export type ReceiveResult = { readonly kind: 'received'; readonly file: ReceivedFile } | FileRefusal;

export interface Uploads {
  /** Stores a picture for later use; issues have the path ["file"]. Errors of the stream (the client left) are thrown on. */
  upload(viewer: Viewer, file: FileStream): Promise<UploadResult>;
  /** The same in two steps, for submissions that may yet come to nothing; `path` is where issues point to. */
  receive(viewer: Viewer, file: FileStream, path: readonly string[]): Promise<ReceiveResult>;
  /** Null when there is none or it is another tenant's. */
  find(viewer: Viewer, id: string): Promise<StoredUpload | null>;
}

export function createUploads(options: UploadsOptions): Uploads {
  return new StreamedUploads(options);
}

class StreamedUploads implements Uploads {
  readonly #options: UploadsOptions;

  constructor(options: UploadsOptions) {
    this.#options = options;
  }

  async upload(viewer: Viewer, file: FileStream): Promise<UploadResult> {
    const received = await this.receive(viewer, file, ['file']);
    if (received.kind !== 'received') return received;
    return { kind: 'stored', upload: await received.file.keep() };
  }

  find(viewer: Viewer, id: string): Promise<StoredUpload | null> {
    return findUpload(this.#options.store.db, viewer, id);
  }

  async receive(viewer: Viewer, file: FileStream, path: readonly string[]): Promise<ReceiveResult> {
    const { storage, limits } = this.#options;
    const put = await storage
      .put(viewer.tenant, file.stream, {
        maxBytes: limits.maxUploadBytes,
        inspect: (content) => this.#inspect(content, file, path),
      })
      .catch((error: unknown) => {
        if (wasCutForItsSize(error)) return { stored: false, reason: 'too-large' } as const;
        throw error;
      });
    if (put.stored) {
      this.#options.onReceived?.(put.bytes);
      return { kind: 'received', file: this.#received(viewer, file, put) };
    }
    if (put.reason === 'rejected') return put.rejection;
    if (put.reason === 'too-large') return { kind: 'too-large', maxBytes: limits.maxUploadBytes };
    return { kind: 'storage-unavailable' };
  }

  async #inspect(
    content: Content,
    file: FileStream,
    path: readonly string[],
  ): Promise<Inspection<ImageFacts, FileRefusal>> {
    const { maxUploadBytes, maxUploadPixels } = this.#options.limits;
    const refuse = (rejection: FileRefusal) => ({ ok: false, rejection }) as const;
    if (file.truncated?.()) return refuse({ kind: 'too-large', maxBytes: maxUploadBytes });
    const probe = await probeImage(content, { maxPixels: maxUploadPixels, decode: true });
    if (probe.ok) return { ok: true, value: probe };
    switch (probe.reason) {
      case 'not-an-image':
      case 'unsupported':
        return refuse({ kind: 'unsupported', accepted: UPLOAD_TYPES });
      case 'truncated':
        return refuse({ kind: 'invalid', issues: [{ path, message: 'ends too early or is damaged' }] });
      case 'too-many-pixels': {
        const { width, height } = probe;
        return refuse({ kind: 'too-many-pixels', width, height, maxPixels: maxUploadPixels });
      }
      default:
        return assertNever(probe, 'image probe');
    }
  }

  #received(viewer: Viewer, file: FileStream, put: StoredPicture): ReceivedFile {
    const { store, storage, ids, clock, crashAt = neverCrash } = this.#options;
    const { tenant, user } = viewer;
    const { sha256, bytes, pin } = put;
    const { mimeType, width, height } = put.inspected;
    const drop = async (): Promise<void> => {
      pin.release();
      await storage.remove(tenant, sha256, async () => !(await isReferenced(store.db, { tenant, sha256 })));
    };
    return {
      sha256,
      mimeType,
      async keep() {
        const filename = displayName(file.filename);
        const about = { filename, mimeType, width, height, bytes, sha256 };
        const upload = { id: ids(), tenant, user, ...about, createdAt: clock.now() };
        crashAt('upload:stored');
        try {
          await insertUpload(store.db, upload);
        } catch (error) {
          await drop();
          throw error;
        }
        pin.release();
        crashAt('upload:kept');
        return upload;
      },
      drop,
    };
  }
}

type StoredPicture = Extract<PutResult<ImageFacts, FileRefusal>, { stored: true }>;

/** Multipart parsers end a file above their own limit with an error of HTTP's "content too large". */
function wasCutForItsSize(error: unknown): boolean {
  return error instanceof Error && 'status' in error && error.status === 413;
}
