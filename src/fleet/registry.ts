/** Brings the rows in line with the configuration: one instance per URL, which keeps its id for as long as it is named. */
import type { Instance } from '../domain/instance.ts';
import type { Login } from '../lib/address.ts';
import { listInstances, lockInstances, removeInstance, upsertConfigured } from '../store/instances.ts';
import type { Store } from '../store/open.ts';
import { insertWish } from '../store/wishes.ts';

export interface NamedInstance {
  readonly name: string;
  readonly url: string;
  readonly login?: Login | null;
  readonly capacity: number;
}

/**
 * The instances that belong to the fleet now. One that is not named any more is marked as removed, its row stays for the
 * jobs that ran on it; one that was added at run time belongs to it anyway. `now` is epoch ms.
 */
export async function registerInstances(
  store: Store,
  named: readonly NamedInstance[],
  ids: () => string,
  now: number,
): Promise<Instance[]> {
  return store.transaction(async (tx) => {
    await lockInstances(tx);
    const urls = new Set(named.map((instance) => instance.url));
    for (const instance of await listInstances(tx)) {
      if (instance.origin !== 'config' || urls.has(instance.url)) continue;
      await removeInstance(tx, instance.id, now);
      // what of ours still runs there is taken away
      await insertWish(tx, { id: ids(), instanceId: instance.id, kind: 'remove', askedAt: now });
    }
    for (const instance of named) await upsertConfigured(tx, { id: ids(), ...instance }, now);
    return listInstances(tx);
  });
}
