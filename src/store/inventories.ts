/**
 * What instances have, by content: equal lists share one row and, in a process, one object, however many instances have
 * them and however often they are read. Who compares instances may therefore compare the objects.
 */
import { type Kysely, sql } from 'kysely';
import type { InputLists, Inventory, ModelFile } from '../domain/capabilities.ts';
import type { Instance } from '../domain/instance.ts';
import type { InventoriesTable, Tables } from './schema.ts';

/** As in open.ts, which makes what is here. */
type Db = Kysely<Tables>;

/** An instance and what it can run; null where that was not read yet. */
export interface EquippedInstance {
  readonly instance: Instance;
  readonly inventory: Inventory | null;
}

export class Inventories {
  readonly #db: Db;
  /** Let go of when nobody holds the lists any more. */
  readonly #shared = new Map<string, WeakRef<Inventory>>();
  readonly #gone = new FinalizationRegistry<string>((key) => {
    if (!this.#held(key)) this.#shared.delete(key);
  });
  /** Held for the next reading. */
  #ofFleet: readonly EquippedInstance[] = [];

  constructor(db: Db) {
    this.#db = db;
  }

  /** The one object for these lists; the given one when there is none yet. */
  share(key: string, inventory: Inventory): Inventory {
    const held = this.#held(key);
    if (held) return held;
    this.#shared.set(key, new WeakRef(inventory));
    this.#gone.register(inventory, key);
    return inventory;
  }

  /** By inventory key; unknown keys are absent. Asks the store only for what nobody holds. */
  async find(keys: readonly string[]): Promise<Map<string, Inventory>> {
    const found = new Map<string, Inventory>();
    for (const key of keys) {
      const held = this.#held(key);
      if (held) found.set(key, held);
    }
    const unknown = [...new Set(keys)].filter((key) => !found.has(key));
    for (const [key, inventory] of await findInventories(this.#db, unknown)) {
      found.set(key, this.share(key, inventory));
    }
    return found;
  }

  /** All instances of the fleet with what they have, in the same order. */
  async ofFleet(instances: readonly Instance[]): Promise<readonly EquippedInstance[]> {
    const found = await this.find(instances.flatMap(({ inventoryKey }) => inventoryKey ?? []));
    this.#ofFleet = instances.map((instance) => ({
      instance,
      inventory: found.get(instance.inventoryKey ?? '') ?? null,
    }));
    return this.#ofFleet;
  }

  #held(key: string): Inventory | undefined {
    return this.#shared.get(key)?.deref();
  }
}

/** By inventory key; unknown keys are absent. */
export async function findInventories(db: Db, keys: readonly string[]): Promise<Map<string, Inventory>> {
  if (keys.length === 0) return new Map();
  const rows = await db.selectFrom('inventories').selectAll().where('inventory_key', 'in', keys).execute();
  return new Map(rows.map((row) => [row.inventory_key, inventoryFromRow(row)]));
}

function inventoryFromRow({ node_types, models, inputs }: InventoriesTable): Inventory {
  return {
    nodeTypes: JSON.parse(node_types) as string[],
    models: JSON.parse(models) as ModelFile[],
    ...(inputs !== null && { inputs: JSON.parse(inputs) as InputLists }),
  };
}

/**
 * Stores the inventory under its key, says that the instance has it, and forgets the one it had before when no instance
 * has it any more. To be repeated now and then: two who do this at the same moment may forget what the other just stored.
 */
export async function saveInventory(
  db: Db,
  id: string,
  key: string,
  inventory: Inventory,
  now: number,
): Promise<void> {
  const before = await db
    .selectFrom('instances')
    .select('inventory_key')
    .where('id', '=', id)
    .executeTakeFirst();
  const stored = await db
    .selectFrom('inventories')
    .select('inventory_key')
    .where('inventory_key', '=', key)
    .executeTakeFirst();
  if (!stored) await insertInventory(db, key, inventory);
  const previous = before?.inventory_key ?? null;
  if (previous === key) return;
  await db
    .updateTable('instances')
    .set({ inventory_key: key, updated_at: now })
    .where('id', '=', id)
    .execute();
  if (previous !== null) await forgetUnused(db, previous);
}

async function insertInventory(db: Db, key: string, inventory: Inventory): Promise<void> {
  await db
    .insertInto('inventories')
    .values({
      inventory_key: key,
      node_types: JSON.stringify(inventory.nodeTypes),
      models: JSON.stringify(inventory.models),
      inputs: inventory.inputs ? JSON.stringify(inventory.inputs) : null,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

async function forgetUnused(db: Db, key: string): Promise<void> {
  await db
    .deleteFrom('inventories')
    .where('inventory_key', '=', key)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('instances')
            .select(sql`1`.as('one'))
            .where('inventory_key', '=', key)
            .where('removed_at', 'is', null),
        ),
      ),
    )
    .execute();
}
