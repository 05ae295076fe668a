/**
 * Hands the files a graph takes to an instance. Names come from the content, so that the same file is uploaded once and
 * no two files get in each other's way; what an instance has is remembered until it comes back from being away.
 */
import mime from 'mime';
import type { HttpFailure } from '../comfyui/http-failure.ts';
import type { FileRef } from '../domain/graph.ts';
import type { Member } from '../fleet/member.ts';
import { type Clock, pause, systemClock } from '../lib/clock.ts';
import type { BlobStore, OpenBlob } from '../storage/blob-store.ts';
import { StorageUnavailable } from '../storage/s3-problem.ts';
import type { TransferGate } from './transfer-gate.ts';

export type HandOver =
  | { readonly kind: 'there'; readonly name: string }
  /** The stored file is gone. */
  | { readonly kind: 'gone' }
  | { readonly kind: 'failed'; readonly failure: HttpFailure };

const UPLOAD_DEADLINE_MS = 120_000;
/** Together a minute, which a restart of an object store takes. */
const STORAGE_TRIES = 30;
const STORAGE_PAUSE_MS = 2000;
/** Files remembered of one instance; one that is forgotten is uploaded again under the same name, which changes nothing. */
const MOST_KNOWN = 10_000;

export class InputFiles {
  readonly #storage: BlobStore;
  readonly #transfers: TransferGate;
  /** Instance id to content hash to the upload, done or under way. */
  readonly #known = new Map<string, Map<string, Promise<HandOver>>>();
  readonly #mostKnown: number;
  readonly #clock: Clock;

  constructor(
    storage: BlobStore,
    transfers: TransferGate,
    mostKnown = MOST_KNOWN,
    clock: Clock = systemClock,
  ) {
    this.#storage = storage;
    this.#transfers = transfers;
    this.#mostKnown = mostKnown;
    this.#clock = clock;
  }

  /** The name under which the instance has the file, uploading it when it is not known to be there. */
  async handOver(member: Member, tenant: string, ref: FileRef): Promise<HandOver> {
    let files = this.#known.get(member.id);
    if (!files) {
      files = new Map();
      this.#known.set(member.id, files);
    }
    const underWay = files.get(ref.sha256);
    if (underWay) return underWay;
    const upload = this.#transfers.pass(member.id, ref.sha256, () => this.#upload(member, tenant, ref));
    files.set(ref.sha256, upload);
    const oldest = files.size > this.#mostKnown ? files.keys().next() : null;
    if (oldest && !oldest.done) files.delete(oldest.value);
    const result = await upload;
    // only what worked is remembered
    if (result.kind !== 'there' && files.get(ref.sha256) === upload) files.delete(ref.sha256);
    return result;
  }

  /** The instance may have lost its files. */
  forget(instanceId: string): void {
    this.#known.delete(instanceId);
  }

  /** Storage that is away for a moment is waited for: it is not the instance's fault, nor the job's. */
  async #upload(member: Member, tenant: string, ref: FileRef): Promise<HandOver> {
    for (let tries = 1; ; tries++) {
      const attempt = await this.#uploadOnce(member, tenant, ref);
      if (!attempt.storageAway || tries >= STORAGE_TRIES) return attempt.result;
      await pause(this.#clock, STORAGE_PAUSE_MS);
    }
  }

  async #uploadOnce(member: Member, tenant: string, ref: FileRef): Promise<UploadAttempt> {
    let problem: unknown;
    const noted = (error: unknown): { readonly failure: HttpFailure } => {
      problem = error;
      return unreadable(error);
    };
    const blob = await this.#storage.open(tenant, ref.sha256).catch(noted);
    if (blob && 'stream' in blob) blob.stream.once('error', noted);
    const result = await send(member, ref, blob);
    const storageAway = result.kind === 'failed' && problem instanceof StorageUnavailable;
    return { result: storageAway ? { kind: 'failed', ...unreadable(problem) } : result, storageAway };
  }
}

interface UploadAttempt {
  readonly result: HandOver;
  readonly storageAway: boolean;
}

async function send(
  member: Member,
  ref: FileRef,
  blob: OpenBlob | { readonly failure: HttpFailure } | null,
): Promise<HandOver> {
  if (!blob) return { kind: 'gone' };
  if ('failure' in blob) return { kind: 'failed', failure: blob.failure };
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
  if (!uploaded.ok) return { kind: 'failed', failure: uploaded };
  const { subfolder, filename } = uploaded.value;
  return { kind: 'there', name: subfolder ? `${subfolder}/${filename}` : filename };
}

export const UPLOAD_PREFIX = 'cf_';

function uploadName(ref: FileRef): string {
  return `${UPLOAD_PREFIX}${ref.sha256}.${mime.getExtension(ref.mimeType) ?? 'bin'}`;
}

/** Storage that fails now may answer later, so this is no verdict on the file. */
function unreadable(error: unknown): { readonly failure: HttpFailure } {
  const message = `a stored file could not be opened: ${error instanceof Error ? error.message : String(error)}`;
  return { failure: { ok: false, reason: 'reset', message } };
}
