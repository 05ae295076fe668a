/** One file from an instance into storage: streamed, hashed, its type and size decided by its bytes. */
import type { ComfyHttp } from '../comfyui/http.ts';
import type { ComfyFile } from '../comfyui/output-items.ts';
import type { BlobPin, BlobStore, Content, Inspection, PutResult } from '../storage/blob-store.ts';
import { safeContentType } from '../storage/content-type.ts';
import { PICTURE_TYPES, probeImage, sniffType } from '../storage/image-probe.ts';

export type Fetched =
  | {
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
  | { readonly kind: 'failed'; readonly reason: string; readonly detail: string | null };

export interface Destination {
  readonly storage: BlobStore;
  readonly tenant: string;
  readonly maxBytes: number;
  /** Called with every piece that came. */
  readonly onPiece?: () => void;
}

interface Description {
  readonly mimeType: string;
  readonly width: number | null;
  readonly height: number | null;
}

const HEAD_DEADLINE_MS = 15_000;
const NO_LIMITS = {
  types: PICTURE_TYPES,
  maxPixels: Number.POSITIVE_INFINITY,
  maxSide: Number.POSITIVE_INFINITY,
};

/** Tries once. A body cut short, or shorter than announced, is a failure and leaves nothing behind. */
export async function fetchFile(
  http: Pick<ComfyHttp, 'view'>,
  file: ComfyFile,
  destination: Destination,
  signal: AbortSignal,
): Promise<Fetched> {
  const viewed = await http.view(file, { deadlineMs: HEAD_DEADLINE_MS, signal });
  if (!viewed.ok) return failed(viewed.message || viewed.reason);
  try {
    const put = await store(destination, viewed.body, file.filename);
    if (put.stored && viewed.contentLength !== null && put.bytes !== viewed.contentLength) {
      put.pin.release();
      return failed('the file is not as long as announced');
    }
    return outcome(put);
  } catch (error) {
    // the body broke off: the other side's doing as a rule, and worth another try in any case
    return failed(error instanceof Error ? error.message : 'the body broke off');
  } finally {
    viewed.body.destroy();
  }
}

/** Stores a picture that is in memory already. */
export async function storePicture(
  storage: BlobStore,
  tenant: string,
  image: Uint8Array,
  filename: string,
  maxBytes: number,
): Promise<Fetched> {
  return outcome(await store({ storage, tenant, maxBytes }, [image], filename));
}

function store(
  { storage, tenant, maxBytes, onPiece }: Destination,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  filename: string,
): Promise<PutResult<Description, string>> {
  return storage.put<Description, string>(tenant, onPiece ? telling(source, onPiece) : source, {
    maxBytes,
    inspect: (content) => describe(content, filename),
    // our own instances made it
    rarelyRejects: true,
  });
}

async function* telling(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  onPiece: () => void,
): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    onPiece();
    yield piece;
  }
}

async function describe(content: Content, filename: string): Promise<Inspection<Description, string>> {
  const probe = await probeImage(content, NO_LIMITS);
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
      return failed('larger than allowed', `an output file is larger than ${put.maxBytes} bytes`);
    case 'no-space':
      return failed('no space', 'there is no space left to store an output file');
    case 'rejected':
      return failed(put.rejection);
  }
}

function failed(reason: string, detail: string | null = null): Fetched {
  return { kind: 'failed', reason, detail };
}
