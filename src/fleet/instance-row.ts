/** One instance as its row says, kept in memory; written when it matters, else now and then. */
import { createHash } from 'node:crypto';
import type { Inventory } from '../domain/capabilities.ts';
import type { Instance } from '../domain/instance.ts';
import type { EventBus } from '../events/bus.ts';
import type { Clock } from '../lib/clock.ts';
import { Gate } from '../lib/gate.ts';
import { type HealthPatch, saveHealth } from '../store/instances.ts';
import { saveInventory } from '../store/inventories.ts';
import type { Store } from '../store/open.ts';

export interface InstanceRowParts {
  readonly store: Store;
  readonly bus: EventBus;
  readonly clock: Clock;
}

/** A change of these is news; the others (when it was last seen, how fast it answered) only go along. */
const MATTERS = [
  'health',
  'breaker',
  'lastError',
  'upSince',
  'queueRunning',
  'queuePending',
  'foreignPrompts',
  'comfyuiVersion',
  'gpu',
  'vramTotalBytes',
  'loadedModels',
] as const satisfies readonly (keyof Instance)[];
const SAVE_EVERY_MS = 10_000;

export class InstanceRow {
  readonly #parts: InstanceRowParts;
  #instance: Instance;
  #inventory: Inventory | null;
  #savedAt = Number.NEGATIVE_INFINITY;
  /** Not in the row yet: it goes along with the next write. */
  #unsaved: HealthPatch = {};
  /** Some of that is news. */
  #isNews = false;
  /** Of two writes on their way the older one might come last. */
  readonly #writing = new Gate(1);

  constructor(parts: InstanceRowParts, instance: Instance, inventory: Inventory | null) {
    this.#parts = parts;
    this.#instance = instance;
    this.#inventory = inventory;
  }

  get instance(): Instance {
    return this.#instance;
  }

  /** Null until its lists are read. */
  get inventory(): Inventory | null {
    return this.#inventory;
  }

  /** The next save is written, even if nothing of it is news. */
  saveNext(): void {
    this.#savedAt = Number.NEGATIVE_INFINITY;
  }

  async save(patch: HealthPatch): Promise<void> {
    const before = this.#instance;
    this.#instance = { ...before, ...patch };
    this.#unsaved = { ...this.#unsaved, ...patch };
    this.#isNews ||= MATTERS.some((field) => before[field] !== this.#instance[field]);
    if (!this.#isNews && this.#parts.clock.monotonic() - this.#savedAt < SAVE_EVERY_MS) return;
    await this.#writing.run(() => this.#write());
  }

  /** Takes over what people say of it in the row. */
  adopt({ name, capacity, draining }: Pick<Instance, 'name' | 'capacity' | 'draining'>): void {
    this.#instance = { ...this.#instance, name, capacity, draining };
  }

  /** True when the lists are others than before. */
  async saveInventory(inventory: Inventory): Promise<boolean> {
    const { store, clock } = this.#parts;
    const key = createHash('sha256').update(JSON.stringify(inventory)).digest('hex').slice(0, 32);
    const known = key === this.#instance.inventoryKey && this.#inventory !== null;
    this.#inventory = store.inventories.share(key, inventory);
    const now = clock.now();
    await saveInventory(store.db, this.#instance.id, key, inventory, now);
    if (known) return false;
    this.#instance = { ...this.#instance, inventoryKey: key };
    this.#announce(now);
    return true;
  }

  async #write(): Promise<void> {
    const { store, clock } = this.#parts;
    const [patch, isNews] = [this.#unsaved, this.#isNews];
    // the write before this one took it along
    if (Object.keys(patch).length === 0) return;
    this.#unsaved = {};
    this.#isNews = false;
    const now = clock.now();
    try {
      const saved = await saveHealth(store.db, this.#instance.id, patch, now);
      this.#savedAt = clock.monotonic();
      // whether it drains is taken over by `adopt` only: what this answers may be older than what that read
      if (saved) this.#instance = { ...this.#instance, updatedAt: saved.updatedAt };
    } catch (error) {
      this.#unsaved = { ...patch, ...this.#unsaved };
      this.#isNews ||= isNews;
      throw error;
    }
    if (isNews) this.#announce(now);
  }

  #announce(at: number): void {
    this.#parts.bus.publish({ kind: 'instance', instanceId: this.#instance.id, at });
  }
}
