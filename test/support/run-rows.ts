/** Rows of runs that succeeded on the instance `gpu`, which is put in with the first: for learning from them. */

import { insertAdded } from '../../src/store/instances.ts';
import type { Db } from '../../src/store/open.ts';
import { faultToColumns } from '../../src/store/rows.ts';
import { jobRow } from './job-rows.ts';

export interface RunSample {
  /** Place in the order in which they began, from 1. */
  readonly n: number;
  readonly needsKey: string;
  readonly runMs: number;
}

export async function putRun(db: Db, { n, needsKey, runMs }: RunSample): Promise<void> {
  if (n === 1) {
    const gpu = { id: 'gpu', name: 'gpu', url: 'http://gpu:8188', login: null, capacity: 1 };
    await insertAdded(db, gpu, 1);
  }
  const job = jobRow({ id: `job${n}`, status: 'COMPLETED', finishedAt: n * 10, runMs, instance: 'gpu' });
  await db
    .insertInto('jobs')
    .values({ ...job, needs_key: needsKey })
    .execute();
  await db
    .insertInto('attempts')
    .values({
      ...{ id: `attempt${n}`, job_id: job.id, tenant: job.tenant, number: 1, slot: 0, term: 1 },
      ...{ instance_id: 'gpu', instance_name: 'gpu', state: 'SUCCEEDED', outcome: 'SUCCEEDED', charged: 1 },
      ...{
        deadline_at: 1,
        started_at: n * 10,
        running_at: n * 10,
        finished_at: n * 10,
        ...faultToColumns(null),
      },
    })
    .execute();
}
