/** What instances are called, for figures: their names say more than ids, also of those that are gone. */
import type { Db } from './open.ts';

/** Names of all instances by their ids, removed ones too. */
export async function instanceNames(db: Db): Promise<Map<string, string>> {
  const rows = await db.selectFrom('instances').select(['id', 'name']).execute();
  return new Map(rows.map(({ id, name }) => [id, name]));
}

/**
 * Names by ids: of those in the fleet, of those removed after `at` (epoch ms), and of all that ever had the name of one in the
 * fleet.
 */
export async function namesSince(db: Db, at: number): Promise<Map<string, string>> {
  const rows = await db
    .selectFrom('instances')
    .select(['id', 'name'])
    .where((eb) =>
      eb.or([
        eb('removed_at', 'is', null),
        eb('removed_at', '>', at),
        eb(
          'name',
          'in',
          eb.selectFrom('instances as live').select('live.name').where('live.removed_at', 'is', null),
        ),
      ]),
    )
    .execute();
  return new Map(rows.map(({ id, name }) => [id, name]));
}
