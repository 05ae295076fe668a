/** What instances are called, for figures: their names say more than ids, also of those that are gone. */
import type { Db } from './open.ts';

/** Names of all instances by their ids, removed ones too. */
export async function instanceNames(db: Db): Promise<Map<string, string>> {
  const rows = await db.selectFrom('instances').select(['id', 'name']).execute();
  return new Map(rows.map(({ id, name }) => [id, name]));
}
