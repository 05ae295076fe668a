/** Figures that are kept no more, a few rows at a time, so that nobody waits long for the one connection. */
import { type SqlBool, sql } from 'kysely';
import { ALL_TIME, type Width } from '../domain/metric-measure.ts';
import { namesInUse } from './instance-names.ts';
import type { Db } from './open.ts';
import { lockRollups } from './rollups.ts';

/** Cells of buckets that began before `before` (epoch ms), at most `most`; how many went. */
export async function dropCells(db: Db, width: Width, before: number, most: number): Promise<number> {
  const places = sql`select series_id, width_ms, bucket from metric_rollups
    where width_ms = ${width} and bucket < ${before} limit ${most}`;
  const result = await db
    .deleteFrom('metric_rollups')
    .where(sql<SqlBool>`(series_id, width_ms, bucket) in (${places})`)
    .executeTakeFirstOrThrow();
  return Number(result.numDeletedRows);
}

/** Days of usage that began before `before`, at most `most` rows; how many went. */
export async function dropUsage(db: Db, before: number, most: number): Promise<number> {
  const rows = sql`select day, tenant, workflow from metric_usage where day < ${before} limit ${most}`;
  const result = await db
    .deleteFrom('metric_usage')
    .where(sql<SqlBool>`(day, tenant, workflow) in (${rows})`)
    .executeTakeFirstOrThrow();
  return Number(result.numDeletedRows);
}

/** Kinds of failures that did not happen again since; there are few. */
export async function dropFailures(db: Db, before: number): Promise<void> {
  await db.deleteFrom('metric_failures').where('last_at', '<', before).execute();
}

/**
 * What is known of all time about instances whose names have not been in use since `before` (epoch ms). What earlier holders
 * of a name did counts together with what the present one does: without it a counter would fall.
 */
export async function dropRemovedInstances(db: Db, before: number): Promise<void> {
  const ids = db.selectFrom('instances').select('id').where('name', 'not in', namesInUse(db, before));
  const series = db.selectFrom('metric_series').select('id').where('instance', 'in', ids);
  await db
    .deleteFrom('metric_rollups')
    .where('width_ms', '=', ALL_TIME)
    .where('series_id', 'in', series)
    .execute();
}

/**
 * Looks at the next `most` series after the one given and drops those without cells. The last it looked at; null when it came to
 * the end.
 */
export async function dropEmptySeries(tx: Db, after: number, most: number): Promise<number | null> {
  // whoever adds cells to a series has found it under the same lock
  await lockRollups(tx);
  const rows = await tx
    .selectFrom('metric_series')
    .select('id')
    .where('id', '>', after)
    .orderBy('id')
    .limit(most)
    .execute();
  const last = rows.at(-1)?.id;
  if (last === undefined) return null;
  await tx
    .deleteFrom('metric_series')
    .where('id', '>', after)
    .where('id', '<=', last)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('metric_rollups')
            .select('bucket')
            .whereRef('metric_rollups.series_id', '=', 'metric_series.id'),
        ),
      ),
    )
    .execute();
  return rows.length < most ? null : last;
}
