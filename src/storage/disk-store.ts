/** The blob store on a local disk (or a volume several gateways share). */
import { randomUUID } from 'node:crypto';
import { mkdir, open, rename, stat, statfs, unlink } from 'node:fs/promises';
import { type BlobGuard, type BlobPin, blobKey, REMOVAL_MS } from '../domain/blob-guard.ts';
import { assert } from '../lib/assert.ts';
import type { Clock } from '../lib/clock.ts';
import { KeyLock } from '../lib/key-lock.ts';
import type {
  BlobStore,
  ByteRange,
  ListedBlob,
  OpenBlob,
  PutOptions,
  PutResult,
  RemoveResult,
} from './blob-store.ts';
import { DiskLayout } from './disk-layout.ts';
import { listBlobs, nameTenant } from './disk-listing.ts';
import { DurableFolders } from './durable-folder.ts';
import { errorCode, isDiskFull, orNullIfAbsent, orUnavailable } from './fs-error.ts';
import { StagingFile, takeIn } from './intake.ts';
import { MemoryBlobGuard } from './memory-blob-guard.ts';
import { StorageUnavailable } from './storage-unavailable.ts';
import { sweepFolder } from './sweep-folder.ts';

export interface DiskStoreOptions {
  /** Made if missing; blobs and staging files lie below. */
  readonly root: string;
  readonly clock: Clock;
  /** Names for staging files, unique among all processes; default random UUIDs. */
  readonly newName?: () => string;
  /** Shared by all processes that share the folder; default one for this process alone. */
  readonly guard?: BlobGuard | undefined;
  /** Age in ms at which a staging file is taken for one that a dead process left; default an hour; 0 where no other
   * process shares the folder. */
  readonly staleStagingMs?: number | undefined;
}

interface Received {
  readonly key: string;
  readonly tenant: string;
  readonly sha256: string;
  readonly bytes: number;
  /** Null when the bytes are in the staging file already. */
  readonly held: Uint8Array | null;
  readonly staging: StagingFile;
}

export class DiskStore implements BlobStore {
  readonly #options: DiskStoreOptions;
  readonly #layout: DiskLayout;
  readonly #folders = new DurableFolders();
  readonly #lock = new KeyLock();
  readonly #guard: BlobGuard;
  /** Staging files of puts in progress. */
  readonly #writing = new Set<string>();
  readonly #named = new Set<string>();

  constructor(options: DiskStoreOptions) {
    this.#options = options;
    this.#guard = options.guard ?? new MemoryBlobGuard();
    this.#layout = new DiskLayout(options.root);
  }

  async start(): Promise<void> {
    await mkdir(this.#layout.blobs, { recursive: true });
    await mkdir(this.#layout.staging, { recursive: true });
    await this.sweepStaging(this.#options.staleStagingMs ?? 3_600_000);
  }

  async stop(): Promise<void> {
    // Nothing runs in the background: a put belongs to its caller.
  }

  async put<A = undefined, R = never>(
    tenant: string,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options: PutOptions<A, R>,
  ): Promise<PutResult<A, R>> {
    const staging = new StagingFile(this.#newStaged());
    this.#writing.add(staging.path);
    let stored = false;
    try {
      const intake = await takeIn(source, options.maxBytes, staging);
      if (!intake.ok) return { stored: false, reason: 'too-large', maxBytes: options.maxBytes };
      const { sha256, bytes } = intake;
      const received = { ...intake, key: blobKey(tenant, sha256), tenant, staging };
      const inspecting = options.inspect?.(intake.held ?? staging.path, bytes);
      const writing = options.rarelyRejects ? orUnavailable(this.#writeAhead(received)) : undefined;
      const [verdict] = await both(inspecting, writing);
      if (verdict && !verdict.ok) return { stored: false, reason: 'rejected', rejection: verdict.rejection };
      // Only a guard that other processes share can fail.
      const pin = await this.#guard.pin(tenant, sha256).catch(() => null);
      if (!pin) return { stored: false, reason: 'unavailable' };
      const keeping = this.#lock.run(received.key, () => orUnavailable(this.#keep(received)));
      stored = await keeping.catch(releasing(pin));
      // Without `inspect` nothing says what A is, so it is undefined, its default.
      return { stored: true, sha256, bytes, inspected: verdict?.value as A, pin };
    } catch (error) {
      if (isDiskFull(error)) return { stored: false, reason: 'no-space' };
      if (error instanceof StorageUnavailable) return { stored: false, reason: 'unavailable' };
      throw error;
    } finally {
      if (!stored) await staging.discard();
      this.#writing.delete(staging.path);
    }
  }

  async open(tenant: string, sha256: string, range?: ByteRange): Promise<OpenBlob | null> {
    const handle = await this.#ask(open(this.#layout.file(tenant, sha256), 'r'));
    if (!handle) return null;
    try {
      const total = (await orUnavailable(handle.stat())).size;
      if (!range) return { stream: handle.createReadStream(), total };
      assert(range.start >= 0 && range.start <= range.end && range.end < total, 'the range lies in the blob');
      return { stream: handle.createReadStream({ start: range.start, end: range.end }), total };
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async toBuffer(tenant: string, sha256: string, maxBytes: number): Promise<Buffer | null> {
    const handle = await this.#ask(open(this.#layout.file(tenant, sha256), 'r'));
    if (!handle) return null;
    try {
      const { size } = await orUnavailable(handle.stat());
      return size > maxBytes ? null : await orUnavailable(handle.readFile());
    } finally {
      await handle.close();
    }
  }

  async stat(tenant: string, sha256: string): Promise<{ readonly bytes: number } | null> {
    const found = await this.#ask(stat(this.#layout.file(tenant, sha256)));
    return found && { bytes: found.size };
  }

  async remove(
    tenant: string,
    sha256: string,
    stillUnreferenced: () => Promise<boolean>,
    putBefore = Number.POSITIVE_INFINITY,
  ): Promise<RemoveResult> {
    const { clock } = this.#options;
    const file = this.#layout.file(tenant, sha256);
    const removed = await this.#guard.unlessPinned<RemoveResult>(tenant, sha256, async () => {
      const since = clock.monotonic();
      const found = await this.#ask(stat(file));
      if (!found) return 'absent';
      if (found.mtimeMs >= putBefore) return 'in-use';
      if (!(await stillUnreferenced())) return 'referenced';
      if (clock.monotonic() - since > REMOVAL_MS) return 'in-use';
      await this.#ask(unlink(file));
      return 'removed';
    });
    return removed ?? 'in-use';
  }

  async freeBytes(): Promise<number> {
    await this.#checkMounted();
    const { bavail, bsize } = await orUnavailable(statfs(this.#layout.root));
    return bavail * bsize;
  }

  list(limit: number, after?: Pick<ListedBlob, 'tenant' | 'sha256'>): Promise<ListedBlob[]> {
    return orUnavailable(listBlobs(this.#layout, limit, after));
  }

  sweepStaging(olderThanMs: number): Promise<number> {
    return sweepFolder(this.#layout.staging, this.#options.clock.now() - olderThanMs, this.#writing);
  }

  /** Null for a file that is absent, and for none of a volume that is away. */
  async #ask<T>(task: Promise<T>): Promise<T | null> {
    const found = await orUnavailable(orNullIfAbsent(task));
    if (found === null) await this.#checkMounted();
    return found;
  }

  /** Where a volume is not mounted there is an empty folder, in which every blob would seem absent. */
  async #checkMounted(): Promise<void> {
    const folder = await orUnavailable(orNullIfAbsent(stat(this.#layout.staging)));
    if (!folder) throw new StorageUnavailable('the volume is not mounted');
  }

  /** Under the key's lock, and pinned. Whether the staging file is now the blob. */
  async #keep(received: Received): Promise<boolean> {
    const file = this.#layout.file(received.tenant, received.sha256);
    // What is on the disk already is renamed over an earlier copy: no dearer than finding out that there is one.
    const found = received.staging.finished ? null : await orNullIfAbsent(stat(file));
    if (found?.size === received.bytes) return false;
    await this.#write(received, file);
    return true;
  }

  /** All that can be done before it is known whether the bytes are wanted, or there already. */
  async #writeAhead({ tenant, sha256, held, staging }: Received): Promise<void> {
    const ensuring = this.#folders
      .ensure(this.#layout.folder(tenant, sha256), this.#layout.blobs)
      .then(() => this.#nameOnce(tenant));
    await both(staging.finish(held), ensuring);
  }

  async #nameOnce(tenant: string): Promise<void> {
    if (this.#named.has(tenant)) return;
    await nameTenant(this.#layout, tenant, this.#newStaged());
    this.#named.add(tenant);
  }

  #newStaged(): string {
    return this.#layout.staged((this.#options.newName ?? randomUUID)());
  }

  async #write(received: Received, file: string): Promise<void> {
    const { tenant, sha256, staging } = received;
    await this.#writeAhead(received);
    const folder = this.#layout.folder(tenant, sha256);
    await rename(staging.path, file).catch(async (error: unknown) => {
      if (errorCode(error) !== 'ENOENT') throw error;
      this.#folders.forget(folder, this.#layout.blobs);
      await this.#folders.ensure(folder, this.#layout.blobs);
      await rename(staging.path, file);
    });
    await this.#folders.sync(folder);
  }
}

/** For what fails while a blob is pinned. */
function releasing(pin: BlobPin): (error: unknown) => never {
  return (error) => {
    pin.release();
    throw error;
  };
}

/** Waits for both to end even when one of them fails, so that nothing is still being written afterwards. */
async function both<A, B>(first: A, second: B): Promise<[Awaited<A>, Awaited<B>]> {
  await Promise.allSettled([first, second]);
  return Promise.all([first, second]);
}
