/** Classes of needs: what the jobs of a class need, and why a class waits. Rows are per class, not per job. */
import type { ModelUse, Needs } from '../domain/capabilities.ts';
import { inChunks } from './in-chunks.ts';
import type { Db } from './open.ts';
import type { NeedsTable } from './schema.ts';
import { statement } from './statement.ts';

const insertNeeds = statement((q, row: NeedsTable) =>
  q
    .insertInto('needs')
    .values(row)
    .onConflict((conflict) => conflict.doNothing()),
);

/** Notes what the class needs; a known class stays as it is. */
export async function saveNeeds(db: Db, needsKey: string, needs: Needs): Promise<void> {
  await insertNeeds(db, {
    needs_key: needsKey,
    node_types: JSON.stringify(needs.nodeTypes),
    models: JSON.stringify(needs.models),
    uses: needs.uses ? JSON.stringify(needs.uses) : null,
    blocked_by: null,
    blocked_at: null,
  });
}

/** By needs key; unknown keys are absent. */
export async function findNeeds(db: Db, keys: readonly string[]): Promise<Map<string, Needs>> {
  const rows = await inChunks(keys, (some) =>
    db.selectFrom('needs').selectAll().where('needs_key', 'in', some).execute(),
  );
  return new Map(rows.map((row) => [row.needs_key, needsFromRow(row)]));
}

function needsFromRow({ node_types, models, uses }: NeedsTable): Needs {
  return {
    nodeTypes: JSON.parse(node_types) as string[],
    models: JSON.parse(models) as string[],
    ...(uses !== null && { uses: JSON.parse(uses) as ModelUse[] }),
  };
}

const selectBlocked = statement((q, p: { keys: readonly string[] }) =>
  q
    .selectFrom('needs')
    .select(['needs_key', 'blocked_by'])
    .where('needs_key', 'in', p.keys)
    .where('blocked_by', 'is not', null),
);

/** Why each class waits, one line for a person, by needs key; classes that merely wait their turn are absent. */
export async function blockedReasons(db: Db, keys: readonly string[]): Promise<Map<string, string>> {
  if (keys.length === 0) return new Map();
  const { rows } = await selectBlocked(db, { keys });
  return new Map(rows.map((row) => [row.needs_key, row.blocked_by ?? '']));
}

/** Writes why a class waits now; null when nothing is in its way but its turn. True when that is news. */
export async function setBlocked(
  db: Db,
  needsKey: string,
  blockedBy: string | null,
  now: number,
): Promise<boolean> {
  const result = await db
    .updateTable('needs')
    .set({ blocked_by: blockedBy, blocked_at: blockedBy === null ? null : now })
    .where('needs_key', '=', needsKey)
    .where('blocked_by', 'is distinct from', blockedBy)
    .executeTakeFirstOrThrow();
  return result.numUpdatedRows > 0n;
}
