/** Everything a submission passes through, real and in a temporary folder: store, disk, bus, recorder. */
import { join } from 'node:path';
import sharp from 'sharp';
import type { Inventory } from '../../src/domain/capabilities.ts';
import { sameForAll } from '../../src/domain/tenant-limits.ts';
import { defaultViewer } from '../../src/domain/viewer.ts';
import { MemoryBus } from '../../src/events/memory-bus.ts';
import { createRecorder, type Recorder } from '../../src/jobs/recorder.ts';
import type { FileStream } from '../../src/jobs/sources.ts';
import { createSubmitter, type Submitter, type SubmitterParts } from '../../src/jobs/submit.ts';
import { createUploads, type Uploads } from '../../src/jobs/uploads.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { DiskStore } from '../../src/storage/disk-store.ts';
import { upsertConfigured } from '../../src/store/instances.ts';
import { saveInventory } from '../../src/store/inventories.ts';
import type { Store } from '../../src/store/open.ts';
import { loadWorkflows } from '../../src/workflows/registry.ts';
import { type EngineName, openTempStore } from '../support/temp-store.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

export const viewer = defaultViewer;
export const stranger = { tenant: 'other', user: null };
export const workflows = loadWorkflows(new URL('../../workflows', import.meta.url).pathname);

export interface Rig {
  readonly store: Store;
  readonly storage: DiskStore;
  readonly filesDir: string;
  readonly bus: MemoryBus;
  readonly clock: VirtualClock;
  readonly recorder: Recorder;
  readonly uploads: Uploads;
  readonly submitter: Submitter;
  /** A submitter with other settings on the same store. */
  submitterWith(change: Partial<SubmitterParts>): Submitter;
  /** Adds an instance; null: its lists are not read yet. */
  addInstance(name: string, inventory: Inventory | null): Promise<void>;
  /** Rows of a table. */
  count(table: 'jobs' | 'uploads' | 'job_files'): Promise<number>;
  close(): Promise<void>;
}

export const config = {
  jobTimeoutMs: 300_000,
  maxAttempts: 3,
  maxQueuedJobs: 1_000,
  maxUploadBytes: 1_000_000,
  allowPrivateImageUrls: false,
};

export async function openRig(engine: EngineName = 'SQLite'): Promise<Rig> {
  const logger = createLogger('silent');
  const clock = new VirtualClock();
  const temp = await openTempStore(engine);
  const { store } = temp;
  const filesDir = join(temp.dataDir, 'files');
  const storage = new DiskStore({ root: filesDir, clock });
  const bus = new MemoryBus();
  await storage.start();
  await bus.start();
  let serial = 0;
  const ids = (): string => `id-${++serial}`;
  const limits = { maxUploadBytes: config.maxUploadBytes, maxUploadPixels: 1_000_000 };
  const recorder = createRecorder({ store, bus, clock, ids, logger });
  const uploads = createUploads({ store, storage, clock, ids, limits });
  const parts: SubmitterParts = {
    ...{ store, recorder, uploads, clock, ids, config, logger },
    workflows: () => workflows,
    limitsOf: sameForAll,
    random: () => 0.25,
  };
  return {
    ...{ store, storage, filesDir, bus, clock, recorder, uploads },
    submitter: createSubmitter(parts),
    submitterWith: (change) => createSubmitter({ ...parts, ...change }),
    async addInstance(name, inventory) {
      const instance = await upsertConfigured(
        store.db,
        { id: ids(), name, url: `http://${name}:8188`, capacity: 1 },
        clock.now(),
      );
      if (inventory) await saveInventory(store.db, instance.id, `of-${name}`, inventory, clock.now());
    },
    async count(table) {
      return (await store.db.selectFrom(table).selectAll().execute()).length;
    },
    async close() {
      await bus.stop();
      await temp.close();
    },
  };
}

/** A picture of one colour. */
export function picture(red: number, format: 'png' | 'jpeg' | 'webp' = 'png', side = 8): Promise<Buffer> {
  const background = { r: red, g: 0, b: 0 };
  return sharp({ create: { width: side, height: side, channels: 3, background } })
    [format]()
    .toBuffer();
}

/** The bytes as a client's file, in pieces. */
export function fileOf(bytes: Uint8Array, filename: string | null = 'cat.png'): FileStream {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 50) yield bytes.subarray(at, at + 50);
  }
  return { filename, stream: pieces() };
}
