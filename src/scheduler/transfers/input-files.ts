/**
 * Hands the files a graph takes to an instance. Names come from the content, so that the same file is uploaded once and
 * no two files get in each other's way; what an instance has is remembered until it comes back from being away.
 */
import mime from 'mime';
import type { HttpFailure } from '../../comfyui/http-failure.ts';
import type { FileRef } from '../../domain/graph.ts';
import type { Member } from '../../fleet/member.ts';
import { type Clock, pause } from '../../lib/clock.ts';
import type { BlobStore, OpenBlob } from '../../storage/blob-store.ts';
import type { TransferGate } from './transfer-gate.ts';

export type HandOver =
  | { readonly kind: 'there'; readonly name: string }
  | NoFile
  | { readonly kind: 'failed'; readonly failure: HttpFailure };

export type FileText = { readonly kind: 'there'; readonly base64: string } | NoFile;

type NoFile =
  /** The stored file is gone. */
  | { readonly kind: 'gone' }
  /** Our own storage could not be read, which says nothing of the file, the job or the instance. */
  | { readonly kind: 'unreadable'; readonly reason: string };

export interface InputFilesParts {
  readonly storage: Pick<BlobStore, 'open' | 'toBuffer'>;
  readonly transfers: TransferGate;
  readonly clock: Clock;
  /** Files remembered of one instance; one that is forgotten is uploaded again under the same name, which changes nothing. */
  readonly mostKnown?: number;
}

const UPLOAD_DEADLINE_MS = 120_000;
/** A hiccup of storage is nothing that anybody should hear of; after more, the place is better given to others. */
const STORAGE_PATIENCE_MS = 5000;
const STORAGE_PAUSE_MS = 1000;
const MOST_KNOWN = 10_000;
/** Longest file that is sent as text within a graph. */
const LARGEST_BASE64_SOURCE = 64 * 1024 * 1024;

export class InputFiles {
  readonly #parts: InputFilesParts;
  /** Instance id to content hash to the upload, done or under way. */
  readonly #known = new Map<string, Map<string, Promise<HandOver>>>();

  constructor(parts: InputFilesParts) {
    this.#parts = parts;
  }

  /** The name under which the instance has the file, uploading it when it is not known to be there. */
  async handOver(member: Member, tenant: string, ref: FileRef): Promise<HandOver> {
    const { transfers, mostKnown = MOST_KNOWN } = this.#parts;
    let files = this.#known.get(member.id);
    if (!files) {
      files = new Map();
      this.#known.set(member.id, files);
    }
    const underWay = files.get(ref.sha256);
    if (underWay) return underWay;
    const upload = transfers.pass(member.id, ref.sha256, () =>
      this.#patiently(() => this.#upload(member, tenant, ref)),
    );
    files.set(ref.sha256, upload);
    const oldest = files.size > mostKnown ? files.keys().next() : null;
    if (oldest && !oldest.done) files.delete(oldest.value);
    const result = await upload;
    // only what worked is remembered
    if (result.kind !== 'there' && files.get(ref.sha256) === upload) files.delete(ref.sha256);
    return result;
  }

  /** The file as text, for a graph that holds it; one that is too large for that counts as gone. */
  toText(tenant: string, ref: FileRef): Promise<FileText> {
    const { storage } = this.#parts;
    return this.#patiently(async (): Promise<FileText> => {
      const bytes = await storage.toBuffer(tenant, ref.sha256, LARGEST_BASE64_SOURCE).catch(unreadable);
      if (bytes && 'kind' in bytes) return bytes;
      return bytes ? { kind: 'there', base64: bytes.toString('base64') } : { kind: 'gone' };
    });
  }

  /** The instance may have lost its files. */
  forget(instanceId: string): void {
    this.#known.delete(instanceId);
  }

  async #patiently<T extends { readonly kind: string }>(work: () => Promise<T>): Promise<T> {
    const { clock } = this.#parts;
    const since = clock.monotonic();
    for (;;) {
      const result = await work();
      if (result.kind !== 'unreadable' || clock.monotonic() - since >= STORAGE_PATIENCE_MS) return result;
      await pause(clock, STORAGE_PAUSE_MS);
    }
  }

  async #upload(member: Member, tenant: string, ref: FileRef): Promise<HandOver> {
    const blob = await this.#parts.storage.open(tenant, ref.sha256).catch(unreadable);
    if (!blob) return { kind: 'gone' };
    return 'kind' in blob ? blob : send(member, ref, blob);
  }
}

async function send(member: Member, ref: FileRef, blob: OpenBlob): Promise<HandOver> {
  const uploaded = await member.http.upload(
    {
      filename: uploadName(ref),
      mimeType: ref.mimeType,
      size: blob.total,
      content: blob.stream,
      type: 'input',
    },
    { deadlineMs: UPLOAD_DEADLINE_MS },
  );
  if (!uploaded.ok) {
    return uploaded.reason === 'source'
      ? { kind: 'unreadable', reason: uploaded.message }
      : { kind: 'failed', failure: uploaded };
  }
  const { subfolder, filename } = uploaded.value;
  return { kind: 'there', name: subfolder ? `${subfolder}/${filename}` : filename };
}

export const UPLOAD_PREFIX = 'cf_';

function uploadName(ref: FileRef): string {
  return `${UPLOAD_PREFIX}${ref.sha256}.${mime.getExtension(ref.mimeType) ?? 'bin'}`;
}

function unreadable(error: unknown): Extract<NoFile, { kind: 'unreadable' }> {
  return { kind: 'unreadable', reason: error instanceof Error ? error.message : String(error) };
}
