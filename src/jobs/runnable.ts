/**
 * Could any instance, healthy or not, ever run this? A submission is refused only when every instance has said what it
 * has and none has enough; an empty fleet, or one list that is not read yet, accepts and waits.
 */
import { type Inventory, missingFrom, type Needs } from '../domain/capabilities.ts';
import { findInventories, listInstances } from '../store/instances.ts';
import type { Db } from '../store/open.ts';

/** What the fleet can do: one entry per instance, null where its lists are not read yet. */
export type FleetInventory = readonly (Inventory | null)[];

/**
 * Reads the lists of all instances that are not removed, in order of their names. A key names its content, so what was
 * read once is kept for as long as an instance has it.
 */
export class FleetInventoryReader {
  readonly #db: Db;
  #known: ReadonlyMap<string, Inventory> = new Map();

  constructor(db: Db) {
    this.#db = db;
  }

  async read(): Promise<FleetInventory> {
    const instances = await listInstances(this.#db);
    const keys = [...new Set(instances.map(({ inventoryKey }) => inventoryKey))].filter(
      (key) => key !== null,
    );
    const known = this.#known;
    const found = await findInventories(
      this.#db,
      keys.filter((key) => !known.has(key)),
    );
    const now = new Map<string, Inventory>();
    for (const key of keys) {
      const inventory = found.get(key) ?? known.get(key);
      if (inventory) now.set(key, inventory);
    }
    this.#known = now;
    return instances.map(({ inventoryKey: key }) => (key === null ? null : (now.get(key) ?? null)));
  }
}

/** What the whole fleet lacks; null when some instance can run it or may turn out to. Of several, the one that lacks least. */
export function missingEverywhere(needs: Needs, fleet: FleetInventory): Needs | null {
  let least: Needs | null = null;
  for (const inventory of fleet) {
    const missing = missingFrom(needs, inventory);
    if (sizeOf(missing) === 0) return null;
    if (least === null || sizeOf(missing) < sizeOf(least)) least = missing;
  }
  return least;
}

/** The first model file of a folder that the fleet is known to have, in the order its instances list it. */
export function firstModel(fleet: FleetInventory, folder: string): string | null {
  for (const inventory of fleet) {
    const found = inventory?.models.find((model) => model.kind === folder);
    if (found) return found.name;
  }
  return null;
}

function sizeOf(needs: Needs): number {
  return needs.nodeTypes.length + needs.models.length;
}
