/**
 * Takes a stream of bytes in: small ones stay in memory, so that a duplicate or a rejected picture never touches the disk
 * and a new one costs one write; larger ones go to a staging file in large writes.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { errorCode, orUnavailable } from './fs-error.ts';
import { StorageUnavailable } from './storage-unavailable.ts';

/** Bytes held in memory before a write; a whole small file fits. */
const HOLD_BYTES = 1024 * 1024;

export type Intake =
  | { readonly ok: true; readonly sha256: string; readonly bytes: number; readonly held: Uint8Array | null }
  | { readonly ok: false };

/** A staging file that is made at the first write and owned by one put(). */
export class StagingFile {
  readonly path: string;
  #handle: FileHandle | undefined;
  #finished = false;

  constructor(path: string) {
    this.path = path;
  }

  /** The bytes are on the disk. */
  get finished(): boolean {
    return this.#finished;
  }

  /** @throws StorageUnavailable when the volume is away; the same of `finish`. */
  write(chunks: readonly Uint8Array[]): Promise<void> {
    return orUnavailable(this.#write(chunks));
  }

  async #write(chunks: readonly Uint8Array[]): Promise<void> {
    this.#handle ??= await open(this.path, 'wx', 0o640).catch(orNotMounted);
    // A short write (the disk filling up) is carried on with until done or refused.
    let rest: Uint8Array = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
    while (rest.length > 0) rest = rest.subarray((await this.#handle.write(rest)).bytesWritten);
  }

  /** Resolves once the bytes, with those still `held` in memory, are on the disk and the file is closed; once is enough. */
  async finish(held: Uint8Array | null): Promise<void> {
    if (this.#finished) return;
    if (held) await this.write([held]);
    if (this.#handle) await orUnavailable(this.#handle.sync());
    this.#finished = true;
    const handle = this.#handle;
    this.#handle = undefined;
    if (handle) await orUnavailable(handle.close());
  }

  /** Leaves nothing behind; harmless when nothing was written. */
  async discard(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close().catch(() => undefined);
    // by a volume that is away too: else what it leaves is swept later
    await rm(this.path, { force: true }).catch(() => undefined);
  }
}

/** The folder of staging files is made at the start. */
function orNotMounted(error: unknown): never {
  throw errorCode(error) === 'ENOENT' ? new StorageUnavailable('the volume is not mounted') : error;
}

/** Reads the source to its end; `ok: false` when it is longer than `maxBytes` (the source is then closed unread). */
export async function takeIn(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  maxBytes: number,
  file: StagingFile,
): Promise<Intake> {
  const hash = createHash('sha256');
  let bytes = 0;
  let chunks: Uint8Array[] = [];
  let heldBytes = 0;
  for await (const chunk of source) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) return { ok: false };
    hash.update(chunk);
    chunks.push(chunk);
    heldBytes += chunk.byteLength;
    if (heldBytes > HOLD_BYTES) {
      await file.write(chunks);
      chunks = [];
      heldBytes = 0;
    }
  }
  const sha256 = hash.digest('hex');
  const whole = heldBytes === bytes;
  if (!whole && heldBytes > 0) await file.write(chunks);
  return { ok: true, sha256, bytes, held: whole ? joined(chunks) : null };
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}
