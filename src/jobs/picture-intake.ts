/**
 * Gets the bytes for the open slots of a draft, wherever they come from. `check` looks rows up and reads addresses, and
 * writes nothing; `receive` stores. Whatever comes with the request or over the network becomes an upload.
 */
import type { Viewer } from '../domain/viewer.ts';
import type { Store } from '../store/open.ts';
import { findOutputs } from '../store/outputs.ts';
import { findUploads } from '../store/uploads.ts';
import { readDataUri } from './data-uri.ts';
import type { FileSlot, FilledSlot } from './draft.ts';
import { FetchError, type FetchOptions, fetchImage, urlProblem } from './fetch-image.ts';
import type { FileStream, Issue } from './sources.ts';
import type { FileRefusal } from './submission.ts';
import type { ReceivedFile, Uploads } from './uploads.ts';

/** A picture in storage; exactly one of `keep` and `drop` is to be called. */
export interface Picture {
  readonly sha256: string;
  /** Makes it stay and says how the job refers to it. */
  keep(): Promise<FilledSlot>;
  drop(): Promise<void>;
}

/** A slot that can be filled: a stored picture, or a way to get at the bytes. */
type Ready = { readonly stored: FilledSlot } | { readonly open: (viewer: Viewer) => Promise<Taken> };
type Taken = { readonly kind: 'received'; readonly file: ReceivedFile } | FileRefusal;

export type Checked =
  | { readonly ok: true; readonly ready: readonly Ready[] }
  | { readonly ok: false; readonly refusal: FileRefusal };
export type Received =
  | { readonly ok: true; readonly pictures: readonly Picture[] }
  | { readonly ok: false; readonly refusal: FileRefusal };

export interface PictureIntakeParts {
  readonly store: Store;
  readonly uploads: Uploads;
  readonly maxUploadBytes: number;
  readonly fetch: FetchOptions;
}

export class PictureIntake {
  readonly #parts: PictureIntakeParts;

  constructor(parts: PictureIntakeParts) {
    this.#parts = parts;
  }

  /** Every slot whose source is wrong becomes an issue at its path. */
  async check(viewer: Viewer, slots: readonly FileSlot[]): Promise<Checked> {
    const stored = await this.#findStored(viewer, slots);
    const issues: Issue[] = [];
    const ready: Ready[] = [];
    for (const slot of slots) {
      const checked = this.#checkSlot(slot, stored);
      if ('message' in checked) issues.push({ path: checked.path, message: checked.message });
      else if ('kind' in checked) return { ok: false, refusal: checked };
      else ready.push(checked);
    }
    if (issues.length > 0) return { ok: false, refusal: { kind: 'invalid', issues } };
    return { ok: true, ready };
  }

  /** All or nothing: when one cannot be stored, the others are dropped. Errors of a stream (the client left) are thrown on. */
  async receive(viewer: Viewer, ready: readonly Ready[]): Promise<Received> {
    // All at once: files of one multipart body come in the body's order, whatever order the slots have.
    const settled = await Promise.allSettled(ready.map((slot) => pictureOf(slot, viewer)));
    const pictures: Picture[] = [];
    let refusal: FileRefusal | null = null;
    let failure: { readonly error: unknown } | null = null;
    for (const result of settled) {
      if (result.status === 'rejected') failure ??= { error: result.reason };
      else if ('kind' in result.value) refusal ??= result.value;
      else pictures.push(result.value);
    }
    if (refusal === null && failure === null) return { ok: true, pictures };
    for (const picture of pictures) await picture.drop();
    if (failure) throw failure.error;
    return { ok: false, refusal: refusal ?? { kind: 'storage-unavailable' } };
  }

  /** Pictures by upload or output id; null marks an output that is none. */
  async #findStored(viewer: Viewer, slots: readonly FileSlot[]): Promise<Map<string, FilledSlot | null>> {
    const { db } = this.#parts.store;
    const uploadIds = slots.flatMap(({ source }) => ('uploadId' in source ? [source.uploadId] : []));
    const outputIds = slots.flatMap(({ source }) => ('outputId' in source ? [source.outputId] : []));
    const found = new Map<string, FilledSlot | null>();
    for (const { id, sha256, mimeType } of await findUploads(db, viewer, uploadIds))
      found.set(`upload:${id}`, { sha256, mimeType, reference: { uploadId: id } });
    for (const { id, kind, sha256, mimeType } of await findOutputs(db, viewer, outputIds)) {
      const picture = kind === 'image' && sha256 !== null;
      found.set(`output:${id}`, picture ? { sha256, mimeType, reference: { outputId: id } } : null);
    }
    return found;
  }

  #checkSlot(slot: FileSlot, stored: ReadonlyMap<string, FilledSlot | null>): Ready | Issue | FileRefusal {
    const { source, path } = slot;
    if ('upload' in source) return this.#fromStream(source.upload, [...path, 'upload']);
    if ('dataUri' in source) return this.#fromDataUri(source.dataUri, [...path, 'dataUri']);
    if ('url' in source) return this.#fromUrl(source.url, [...path, 'url']);
    if ('uploadId' in source) {
      const upload = stored.get(`upload:${source.uploadId}`);
      return upload ? { stored: upload } : namesNothing(slot);
    }
    const output = stored.get(`output:${source.outputId}`);
    if (output) return { stored: output };
    if (output === undefined) return namesNothing(slot);
    return { path: [...path, 'outputId'], message: 'names an output that is no picture' };
  }

  #fromStream(file: FileStream, path: readonly string[]): Ready {
    return { open: (viewer) => this.#parts.uploads.receive(viewer, file, path) };
  }

  #fromDataUri(text: string, path: readonly string[]): Ready | Issue | FileRefusal {
    const { maxUploadBytes } = this.#parts;
    const read = readDataUri(text, maxUploadBytes);
    if (read.ok) return this.#fromStream({ filename: null, stream: chunk(read.bytes) }, path);
    if (read.reason === 'too-large') return { kind: 'too-large', maxBytes: maxUploadBytes };
    return { path, message: 'must be a data URI with base64: data:image/png;base64,...' };
  }

  #fromUrl(url: string, path: readonly string[]): Ready | Issue {
    const problem = urlProblem(url);
    if (problem !== null) return { path, message: problem };
    return {
      open: async (viewer) => {
        try {
          const fetched = await fetchImage(url, this.#parts.fetch);
          try {
            return await this.#parts.uploads.receive(viewer, fetched.file, path);
          } finally {
            fetched.close();
          }
        } catch (error) {
          if (!(error instanceof FetchError)) throw error;
          return { kind: 'invalid', issues: [{ path, message: error.message }] };
        }
      },
    };
  }
}

/** What a slot takes is not there, or not any more. */
export function namesNothing({ source, path }: FileSlot): Issue {
  if ('uploadId' in source) return { path: [...path, 'uploadId'], message: 'names no upload' };
  if ('outputId' in source) return { path: [...path, 'outputId'], message: 'names no output' };
  return { path, message: 'was removed before the job was made' };
}

async function pictureOf(slot: Ready, viewer: Viewer): Promise<Picture | FileRefusal> {
  if ('stored' in slot) {
    const { stored } = slot;
    return { sha256: stored.sha256, keep: async () => stored, drop: async () => undefined };
  }
  const taken = await slot.open(viewer);
  if (taken.kind !== 'received') return taken;
  const { file } = taken;
  const { sha256, mimeType } = file;
  return {
    sha256,
    async keep() {
      const { id } = await file.keep();
      return { sha256, mimeType, reference: { uploadId: id } };
    },
    drop: () => file.drop(),
  };
}

async function* chunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
