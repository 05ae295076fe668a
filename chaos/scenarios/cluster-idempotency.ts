/** A thousand keys (CHAOS_KEYS), each sent fifty times at once to each of two API replicas: a thousand jobs. (R14) */
import { TestClient } from '../../test/support/graphql-client.ts';
import { sleepGraph } from '../../test/support/graphs.ts';
import { submitting } from '../../test/support/jobs.ts';
import { withCluster } from '../cluster/cluster.ts';
import type { Finding, Scenario } from '../scenario.ts';

const KEYS = Number(process.env.CHAOS_KEYS ?? 1000);
const TIMES = 50;

export const clusterIdempotency: Scenario = ({ say }) =>
  withCluster({ apis: 2, schedulers: 0, instances: 0, env: { LOG_LEVEL: 'warn' } }, async (cluster) => {
    const clients = cluster.apis.map(({ url }) => new TestClient(url));
    let apart = 0;
    for (let key = 0; key < KEYS; key += 1) {
      const input = { graph: sleepGraph({ seconds: 0, salt: key }), idempotencyKey: `key ${key}` };
      const results = await Promise.all(
        Array.from({ length: TIMES }, () =>
          clients.map((client) => submitting(client, 'submitJob', input)),
        ).flat(),
      );
      const ids = new Set(results.map(({ job }) => job?.id));
      if (ids.size !== 1 || ids.has(undefined)) apart += 1;
      if ((key + 1) % 100 === 0) say(`${key + 1} keys`);
    }
    await Promise.all(clients.map((client) => client.close()));
    const [found] = await cluster.rows.all<{ n: number }>('select count(*) as n from jobs');
    const finding: Finding = {
      row: 'R14',
      what: `${KEYS} keys, each ${TIMES} times at once on each of 2 API replicas`,
      target: `exactly ${KEYS} jobs, every answer the same`,
      measured: `${found?.n} jobs, ${apart} keys with different answers`,
      met: found?.n === KEYS && apart === 0,
    };
    return [finding];
  });
