/** One file from an instance into storage: streamed, hashed, its type and size decided by its bytes. */
import type { ComfyHttp, ViewedFile } from '../../comfyui/http.ts';
import type { ComfyFile } from '../../comfyui/output-items.ts';
import type { CrashHook } from '../../domain/crash-points.ts';
import type { Clock } from '../../lib/clock.ts';
import type { BlobPin, BlobStore, Content, Inspection, PutResult } from '../../storage/blob-store.ts';
import { safeContentType } from '../../storage/content-type.ts';
import { errorCode } from '../../storage/fs-error.ts';
import { PICTURE_TYPES, probeImage, sniffType } from '../../storage/image-probe.ts';
import type { OutputBudget } from './output-budget.ts';
import { paced, SourceError } from './pace.ts';

export interface StoredFile {
  readonly kind: 'stored';
  readonly sha256: string;
  readonly bytes: number;
  readonly mimeType: string;
  /** Null for what is not a picture. */
  readonly width: number | null;
  readonly height: number | null;
  readonly pin: BlobPin;
}

/** `reason` for the log, `detail` for the user. */
export type Fetched =
  | StoredFile
  /** It broke off, was too slow, or ended early: worth another try. */
  | { readonly kind: 'broken'; readonly reason: string }
  /** The instance has no such file. */
  | { readonly kind: 'absent'; readonly reason: string }
  /** Another try would be the same. */
  | { readonly kind: 'too-large'; readonly detail: string }
  /** Storage is full or does not work, which may pass. */
  | { readonly kind: 'no-room'; readonly reason: string };

export interface Destination {
  readonly storage: BlobStore;
  readonly tenant: string;
  readonly maxBytes: number;
  readonly clock: Clock;
  /** Bytes a second below which a transfer is given up. */
  readonly minRate: number;
  readonly budget: OutputBudget;
  readonly crashAt?: CrashHook | undefined;
}

interface Description {
  readonly mimeType: string;
  readonly width: number | null;
  readonly height: number | null;
}

const HEAD_DEADLINE_MS = 15_000;
const NO_LIMITS = {
  types: PICTURE_TYPES,
  maxPixels: Number.MAX_SAFE_INTEGER,
  maxSide: Number.MAX_SAFE_INTEGER,
};

/** Tries once. A body cut short, or shorter than announced, leaves nothing behind. */
export async function fetchFile(
  http: Pick<ComfyHttp, 'view'>,
  file: ComfyFile,
  destination: Destination,
  signal: AbortSignal,
): Promise<Fetched> {
  const viewed = await http.view(file, { deadlineMs: HEAD_DEADLINE_MS, signal });
  if (!viewed.ok) {
    const reason = viewed.message || viewed.reason;
    const isAbsent = viewed.status !== undefined && viewed.status >= 400 && viewed.status < 500;
    return { kind: isAbsent ? 'absent' : 'broken', reason };
  }
  try {
    return await receive(viewed, file, destination);
  } finally {
    viewed.body.destroy();
  }
}

async function receive(viewed: ViewedFile, file: ComfyFile, destination: Destination): Promise<Fetched> {
  const { maxBytes, clock, minRate, budget, crashAt } = destination;
  const { contentLength } = viewed;
  if (contentLength !== null && contentLength > maxBytes) return tooLarge(maxBytes);
  let counted = 0;
  const onBytes = (bytes: number): string | null => {
    if (!budget.take('fileBytes', bytes)) return 'too much';
    counted += bytes;
    crashAt?.('output:receiving');
    return null;
  };
  const source = paced(viewed.body, { bytesPerSecond: minRate, clock, onBytes });
  const fetched = await store(destination, source, file.filename, contentLength === null);
  if (fetched.kind === 'stored' && (contentLength === null || fetched.bytes === contentLength))
    return fetched;
  budget.giveBack('fileBytes', counted);
  if (fetched.kind !== 'stored') return fetched;
  fetched.pin.release();
  return { kind: 'broken', reason: 'the file is not as long as announced' };
}

/** Stores a picture that is in memory already. */
export async function storePicture(
  { budget, ...destination }: Pick<Destination, 'storage' | 'tenant' | 'maxBytes' | 'budget'>,
  image: Uint8Array,
  filename: string,
): Promise<Fetched> {
  if (!budget.take('fileBytes', image.byteLength)) return { kind: 'too-large', detail: budget.problem ?? '' };
  const fetched = await store({ ...destination, budget }, [image], filename, false);
  if (fetched.kind !== 'stored') budget.giveBack('fileBytes', image.byteLength);
  return fetched;
}

/** `decode`: nothing else would tell that a picture ends early. */
async function store(
  { storage, tenant, maxBytes, budget }: Pick<Destination, 'storage' | 'tenant' | 'maxBytes' | 'budget'>,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  filename: string,
  decode: boolean,
): Promise<Fetched> {
  try {
    const put = await storage.put<Description, string>(tenant, source, {
      maxBytes,
      inspect: (content) => describe(content, filename, decode),
      // our own instances made it
      rarelyRejects: true,
    });
    return outcome(put);
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown';
    if (budget.problem !== null) return { kind: 'too-large', detail: budget.problem };
    // a system error that is not the sender's is the disk's
    if (!(error instanceof SourceError) && errorCode(error)) return { kind: 'no-room', reason };
    return { kind: 'broken', reason };
  }
}

async function describe(
  content: Content,
  filename: string,
  decode: boolean,
): Promise<Inspection<Description, string>> {
  const probe = await probeImage(content, { ...NO_LIMITS, decode });
  if (probe.ok) {
    const { mimeType, width, height } = probe;
    return { ok: true, value: { mimeType, width, height } };
  }
  if (probe.reason === 'truncated') return { ok: false, rejection: 'the picture ends early' };
  const { mimeType } = safeContentType(await sniffType(content), filename);
  return { ok: true, value: { mimeType, width: null, height: null } };
}

function outcome(put: PutResult<Description, string>): Fetched {
  if (put.stored) {
    const { sha256, bytes, inspected, pin } = put;
    return { kind: 'stored', sha256, bytes, ...inspected, pin };
  }
  switch (put.reason) {
    case 'too-large':
      return tooLarge(put.maxBytes);
    case 'no-space':
      return { kind: 'no-room', reason: 'there is no space left' };
    case 'unavailable':
      return { kind: 'no-room', reason: 'the storage does not answer' };
    case 'rejected':
      return { kind: 'broken', reason: put.rejection };
  }
}

function tooLarge(maxBytes: number): Fetched {
  return { kind: 'too-large', detail: `an output file is larger than ${maxBytes} bytes` };
}
