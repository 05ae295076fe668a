/**
 * History that comes up to five seconds after success is told, as a job each: none may come back empty or in part. A
 * simulated instance does not start the next prompt before the record of the last is written, so many instances, all in
 * this process, share the jobs. A quarter of them has no socket. (R11)
 */
import type { JsonObject } from '../../src/lib/json.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { TestClient } from '../../test/support/graphql-client.ts';
import { withStoreOf } from '../../test/support/history-checker.ts';
import { aftermath, bareId, countOf, inLanes, startAll, submit, tally, untilIdle } from '../load.ts';
import { withGround } from '../processes.ts';
import type { Finding, Scenario } from '../scenario.ts';

const JOBS = Number(process.env.CHAOS_JOBS ?? 10_000);
const INSTANCES = Number(process.env.CHAOS_INSTANCES ?? 100);
const LATE_MS: [number, number] = [0, 5000];
/** Two pictures and a text. */
const OUTPUTS = 3;

export const historyRace: Scenario = ({ seed, say }) =>
  withGround(async (ground) => {
    const simulators = await Promise.all(
      Array.from({ length: INSTANCES }, (_, n) =>
        startSimulator({
          seed: `${seed}/${n}`,
          faults: { lateHistoryMs: LATE_MS, refuseSockets: n % 4 === 0 },
        }),
      ),
    );
    try {
      const named = simulators.map(({ url }, n) => ({ name: `gpu${n}`, url }));
      const gateway = await ground.gateway(named, {
        PROBE_INTERVAL_MS: '5000',
        PROBE_TIMEOUT_MS: '10000',
        UNREACHABLE_LOST_MS: '45000',
        REFUSED_LOST_MS: '10000',
        MAX_QUEUED_JOBS: '100000',
        LOG_LEVEL: 'warn',
      });
      await startAll([gateway]);
      const client = new TestClient(gateway.url);
      const acknowledged: string[] = [];
      await inLanes(JOBS, 16, async (n) => {
        acknowledged.push(bareId(await submit(client, graph(n))));
      });
      say(`${JOBS} jobs submitted to ${INSTANCES} instances whose history is 0 to 5 s late`);
      await untilIdle(client, { withinMs: 1_200_000, say });
      await client.close();
      const instances = simulators.map(({ control }, n) => ({
        name: `gpu${n}`,
        prompts: control.prompts(),
        executions: control.executions(),
      }));
      const { jobs, attempts, violations } = await aftermath(gateway, [], { acknowledged, instances });
      const made = await withStoreOf(gateway.dataDir, (db) =>
        db.selectFrom('outputs').select(['job_id', 'attempt_id']).execute(),
      );
      const counts = new Map<string, number>();
      for (const { job_id: id } of made) counts.set(id, (counts.get(id) ?? 0) + 1);
      const completed = jobs.filter((job) => job.status === 'COMPLETED');
      const wrong = completed.filter((job) => counts.get(job.id) !== OUTPUTS);
      say(`jobs: ${tally(jobs.map((job) => job.status))}; attempts ${attempts.length}`);
      return [
        row(
          `empty or partial results, of ${completed.length}`,
          '0',
          String(wrong.length),
          wrong.length === 0,
        ),
        row('jobs that did not complete', '0', String(JOBS - completed.length), completed.length === JOBS),
        row(
          'attempts beyond one a job',
          '0',
          String(attempts.length - jobs.length),
          attempts.length === jobs.length,
        ),
        row('broken promises I1-I8', '0', countOf(violations), violations.length === 0),
      ];
    } finally {
      await Promise.all(simulators.map((one) => one.stop()));
    }
  });

function graph(salt: number): JsonObject {
  return {
    '1': { class_type: 'RigNoise', inputs: { width: 8, height: 8, batch: 2, salt } },
    '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'raced' } },
    '3': { class_type: 'RigText', inputs: { text: `job ${salt}` } },
  };
}

function row(what: string, target: string, measured: string, met: boolean): Finding {
  return { row: 'R11', what, target, measured, met };
}
