/** A thousand keys, each sent fifty times at once to one gateway: a thousand jobs. */

import { TestClient } from '../../test/support/graphql-client.ts';
import { sleepGraph } from '../../test/support/graphs.ts';
import { withStoreOf } from '../../test/support/history-checker.ts';
import { submitting } from '../../test/support/jobs.ts';
import { withGround } from '../processes.ts';
import type { Scenario } from '../scenario.ts';

const KEYS = Number(process.env.CHAOS_KEYS ?? 1000);
const TIMES = 50;

export const idempotency: Scenario = ({ say }) =>
  withGround(async (ground) => {
    const gateway = await ground.gateway([], { LOG_LEVEL: 'warn' });
    await gateway.start();
    const client = new TestClient(gateway.url);
    let apart = 0;
    for (let key = 0; key < KEYS; key++) {
      const input = { graph: sleepGraph({ seconds: 0, salt: key }), idempotencyKey: `key ${key}` };
      const results = await Promise.all(
        Array.from({ length: TIMES }, () => submitting(client, 'submitJob', input)),
      );
      const ids = new Set(results.map(({ job }) => job?.id));
      if (ids.size !== 1 || ids.has(undefined)) apart += 1;
      if ((key + 1) % 100 === 0) say(`${key + 1} keys`);
    }
    await client.close();
    await gateway.end('SIGTERM');
    const rows = await withStoreOf(gateway.dataDir, (db) => db.selectFrom('jobs').select('id').execute());
    return [
      {
        row: 'R14',
        what: `${KEYS} keys, each ${TIMES} times at once, one gateway`,
        target: `exactly ${KEYS} jobs, every answer the same`,
        measured: `${rows.length} jobs, ${apart} keys with different answers`,
        met: rows.length === KEYS && apart === 0,
      },
    ];
  });
