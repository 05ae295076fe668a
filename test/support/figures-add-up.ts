/** Whether figures are what the rows say, whatever ended the processes that folded them. */
import assert from 'node:assert/strict';
import { ALL_TIME, type Measure } from '../../src/domain/metric-measure.ts';
import type { Db } from '../../src/store/open.ts';
import { readPoints } from '../../src/store/rollup-points.ts';

/** `deleted`: jobs that had ended and are gone. What waits to be folded counts too. */
export async function assertFiguresAddUp(db: Db, deleted: number): Promise<void> {
  const waiting = await db.selectFrom('metric_outbox').select('kind').execute();
  const jobs = await db.selectFrom('jobs').select('finished_at').execute();
  const counted = async (measure: Measure & ('submitted' | 'ended')): Promise<number> => {
    const range = { pieces: [{ width: ALL_TIME, from: 0, to: 1 }], pointMs: null };
    const points = await readPoints(db, { measure, cut: 'fleet', ...range, by: [] });
    const folded = points.reduce((sum, { cell }) => sum + cell.count, 0);
    return folded + waiting.filter(({ kind }) => kind === measure).length;
  };
  assert.equal(await counted('submitted'), jobs.length + deleted, 'jobs that were submitted');
  const ended = jobs.filter((job) => job.finished_at !== null).length;
  assert.equal(await counted('ended'), ended + deleted, 'jobs that ended');
}
