/** What instances are called, for figures: their names say more than ids, also of those that are gone. */
import type { Db } from './open.ts';

/** Names of all instances by their ids, removed ones too. */
export async function instanceNames(db: Db): Promise<Map<string, string>> {
  const rows = await db.selectFrom('instances').select(['id', 'name']).execute();
  return new Map(rows.map(({ id, name }) => [id, name]));
}

/** Names by ids of all that have, or ever had, a name that one in the fleet has, or one that was removed at `at` (epoch ms) or later. */
export async function namesSince(db: Db, at: number): Promise<Map<string, string>> {
  const rows = await db
    .selectFrom('instances')
    .select(['id', 'name'])
    .where('name', 'in', namesInUse(db, at))
    .execute();
  return new Map(rows.map(({ id, name }) => [id, name]));
}

/** Names that one in the fleet has, or one that was removed at `since` (epoch ms) or later. */
export function namesInUse(db: Db, since: number) {
  return db
    .selectFrom('instances as holder')
    .select('holder.name')
    .where((eb) => eb.or([eb('holder.removed_at', 'is', null), eb('holder.removed_at', '>=', since)]));
}
