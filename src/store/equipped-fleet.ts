/** The fleet as jobs are matched with it before they wait. */
import { listInstances } from './instances.ts';
import type { EquippedInstance } from './inventories.ts';
import type { Store } from './open.ts';

/** All instances that are not removed, in order of their names, with what they have. */
export async function equippedFleet({ db, inventories }: Store): Promise<readonly EquippedInstance[]> {
  return inventories.ofFleet(await listInstances(db));
}
