/** GPU time of each day, tenant and workflow, for whoever pays for it. */
import type { Db } from './open.ts';
import type { MetricUsageTable } from './schema.ts';

const ROWS_A_STATEMENT = 100;

/** Adds to what is known of each day. Each day, tenant and workflow once in the list. */
export async function addUsage(tx: Db, rows: readonly MetricUsageTable[]): Promise<void> {
  for (let from = 0; from < rows.length; from += ROWS_A_STATEMENT) {
    await tx
      .insertInto('metric_usage')
      .values(rows.slice(from, from + ROWS_A_STATEMENT))
      .onConflict((conflict) =>
        conflict.columns(['day', 'tenant', 'workflow']).doUpdateSet((eb) => ({
          jobs: eb('metric_usage.jobs', '+', eb.ref('excluded.jobs')),
          gpu_ms: eb('metric_usage.gpu_ms', '+', eb.ref('excluded.gpu_ms')),
          counted_gpu_ms: eb('metric_usage.counted_gpu_ms', '+', eb.ref('excluded.counted_gpu_ms')),
        })),
      )
      .execute();
  }
}

/** Days that begin from `fromDay` on and before `toDay` (epoch ms), in their order, then by tenant and workflow. */
export function readUsage(
  db: Db,
  fromDay: number,
  toDay: number,
  limit: number,
): Promise<MetricUsageTable[]> {
  return db
    .selectFrom('metric_usage')
    .selectAll()
    .where('day', '>=', fromDay)
    .where('day', '<', toDay)
    .orderBy('day')
    .orderBy('tenant')
    .orderBy('workflow')
    .limit(limit)
    .execute();
}
