/** Rows of instances that have names and nothing else to tell. */
import { insertAdded, removeInstance } from '../../src/store/instances.ts';
import type { Db } from '../../src/store/open.ts';

/** Names by ids; of several with one name all but the last are removed. */
export async function putInstances(db: Db, names: Readonly<Record<string, string>>): Promise<void> {
  const last = new Map(Object.entries(names).map(([id, name]) => [name, id]));
  for (const [id, name] of Object.entries(names)) {
    await insertAdded(db, { id, name, url: `http://${id}:8188`, login: null, capacity: 1 }, 1);
    if (last.get(name) !== id) await removeInstance(db, id, 2);
  }
}
