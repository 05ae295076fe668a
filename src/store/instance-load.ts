/** How many places of each instance are taken. */
import type { Db } from './open.ts';
import { statement } from './statement.ts';

const selectCounts = statement((q, p: { instanceIds: readonly string[] }) =>
  q
    .selectFrom('attempts')
    .select('instance_id')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('outcome', 'is', null)
    .where('instance_id', 'in', p.instanceIds)
    .groupBy('instance_id'),
);

/** Open attempts by instance id, of every tenant; idle instances are absent. */
export async function openAttemptCounts(
  db: Db,
  instanceIds: readonly string[],
): Promise<Map<string, number>> {
  if (instanceIds.length === 0) return new Map();
  const { rows } = await selectCounts(db, { instanceIds });
  return new Map(rows.map((row) => [row.instance_id, Number(row.count)]));
}
