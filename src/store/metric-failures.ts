/** The newest failure of a job of each code, instance and workflow; rollups only count them. */
import type { Db } from './open.ts';
import type { MetricFailuresTable } from './schema.ts';

const ROWS_A_STATEMENT = 100;

/** Keeps the newer one, whichever comes first. Each code, instance and workflow once in the list. */
export async function noteFailures(tx: Db, rows: readonly MetricFailuresTable[]): Promise<void> {
  for (let from = 0; from < rows.length; from += ROWS_A_STATEMENT) {
    await tx
      .insertInto('metric_failures')
      .values(rows.slice(from, from + ROWS_A_STATEMENT))
      .onConflict((conflict) =>
        conflict
          .columns(['code', 'instance', 'workflow'])
          .doUpdateSet((eb) => ({
            last_at: eb.ref('excluded.last_at'),
            last_message: eb.ref('excluded.last_message'),
          }))
          .whereRef('excluded.last_at', '>=', 'metric_failures.last_at'),
      )
      .execute();
  }
}

/** Those whose newest is at `since` (epoch ms) or later, newest first. `instance`: '' where no instance had the job. */
export function readFailures(db: Db, since: number): Promise<MetricFailuresTable[]> {
  return db
    .selectFrom('metric_failures')
    .selectAll()
    .where('last_at', '>=', since)
    .orderBy('last_at', 'desc')
    .execute();
}
