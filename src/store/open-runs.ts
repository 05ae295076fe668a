/** What instances work on now: time that no rollup has yet, because an attempt is counted when it ends. */
import { sql } from 'kysely';
import type { AttemptState } from '../domain/job.ts';
import type { Db } from './open.ts';

export interface OpenRun {
  readonly instanceId: string;
  /** Epoch ms. */
  readonly since: number;
}

/** The attempts that run, of every tenant. Of one whose outputs are fetched no row says when its run ended: it counts once it ends. */
export async function openRuns(db: Db): Promise<OpenRun[]> {
  const rows = await db
    .selectFrom('attempts')
    .select(['instance_id', 'running_at'])
    .where('outcome', 'is', null)
    .where('state', '=', sql.lit<AttemptState>('RUNNING'))
    .where('running_at', 'is not', null)
    .execute();
  return rows.map((row) => ({ instanceId: row.instance_id, since: Number(row.running_at) }));
}
