/** How much there is to read of a measure, told before it is read. */
import { sql } from 'kysely';
import type { Dimension } from '../domain/metric-measure.ts';
import type { Db } from './open.ts';
import type { Piece, PointsQuery } from './rollup-points.ts';

export interface SeriesCount {
  /** What readPoints would tell apart. */
  readonly groups: number;
  /** Stored series, each with a cell a bucket at most. */
  readonly series: number;
}

/** Within `within`: only what has cells in that time counts. */
export async function countSeries(
  db: Db,
  { measure, cut, by, where = {} }: Pick<PointsQuery, 'measure' | 'cut' | 'by' | 'where'>,
  within?: Piece,
): Promise<SeriesCount> {
  let query = db
    .selectFrom('metric_series as s')
    .select(sql<number | string>`count(*)`.as('series'))
    .where('s.measure', '=', measure)
    .where('s.cut', '=', cut);
  if (within)
    query = query.where(({ exists, selectFrom }) =>
      exists(
        selectFrom('metric_rollups as r')
          .select('r.bucket')
          .whereRef('r.series_id', '=', 's.id')
          .where('r.width_ms', '=', within.width)
          .where('r.bucket', '>=', within.from)
          .where('r.bucket', '<', within.to),
      ),
    );
  for (const [dimension, values] of Object.entries(where) as [Dimension, readonly string[]][]) {
    if (values.length === 0) return { groups: 0, series: 0 };
    query = query.where(`s.${dimension}`, 'in', values);
  }
  for (const dimension of by) query = query.groupBy(`s.${dimension}`);
  const counts = (await query.execute()).map(({ series }) => Number(series)).filter((count) => count > 0);
  return { groups: counts.length, series: counts.reduce((sum, count) => sum + count, 0) };
}
