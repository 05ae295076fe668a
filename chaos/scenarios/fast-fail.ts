/**
 * One instance of four fails every job at once, as a graphics card does that is lost: always idle, it would attract the
 * whole queue. Once with a text of CUDA, once with one that nobody has seen before. (R13)
 */

import { TestClient } from '../../test/support/graphql-client.ts';
import { sleepGraph } from '../../test/support/graphs.ts';
import { aftermath, bareId, countOf, inLanes, startAll, submit, tally, untilIdle } from '../load.ts';
import { type Ground, withGround } from '../processes.ts';
import type { Finding, Scenario, ScenarioSetting } from '../scenario.ts';

const TEXTS = {
  CUDA: { type: 'RuntimeError', message: 'CUDA error: an illegal memory access was encountered' },
  unknown: { type: 'RuntimeError', message: 'the frobnicator is out of cheese' },
} as const;

/** `CHAOS_JOBS` makes it shorter. */
const JOBS = Number(process.env.CHAOS_JOBS ?? 200);

export const fastFail: Scenario = async (setting) => {
  const findings: Finding[] = [];
  for (const kind of ['CUDA', 'unknown'] as const) {
    findings.push(...(await withGround((ground) => round(ground, kind, setting))));
  }
  return findings;
};

async function round(
  ground: Ground,
  kind: keyof typeof TEXTS,
  { seed, say }: ScenarioSetting,
): Promise<Finding[]> {
  const simulators = await Promise.all(
    [0, 1, 2, 3].map((n) => ground.simulator(`gpu${n}`, { stepMs: 5, nodeMs: 5 })),
  );
  await startAll(simulators);
  const bad = simulators[seed % simulators.length] ?? simulators[0];
  if (!bad) throw new Error('no simulator');
  await bad.setFaults({ stickyError: TEXTS[kind] });
  const gateway = await ground.gateway(simulators);
  await startAll([gateway]);
  const client = new TestClient(gateway.url);
  const acknowledged: string[] = [];
  await inLanes(JOBS, 16, async (salt) => {
    acknowledged.push(bareId(await submit(client, sleepGraph({ seconds: 0.05, steps: 2, salt }))));
  });
  say(`${JOBS} jobs, ${bad.name} fails each with the text "${TEXTS[kind].message}"`);
  await untilIdle(client, { withinMs: 180_000, say });
  await client.close();
  const { jobs, attempts, violations } = await aftermath(gateway, simulators, { acknowledged });
  const seen = attempts.filter(
    (attempt) => attempt.instance_name === bad.name && attempt.outcome !== 'SUCCEEDED',
  );
  const failed = jobs.filter((job) => job.status !== 'COMPLETED');
  say(
    `jobs: ${tally(jobs.map((job) => job.status))}; codes: ${tally(seen.map((one) => one.error_code ?? 'none'))}`,
  );
  return [
    {
      row: 'R13',
      what: `failures seen by the instance that fails at once, of ${JOBS} jobs (${kind} text)`,
      target: 'at most 2',
      measured: String(seen.length),
      met: seen.length <= 2,
    },
    {
      row: 'R13',
      what: `failures seen by clients (${kind} text)`,
      target: '0',
      measured: String(failed.length),
      met: failed.length === 0 && jobs.length === JOBS,
    },
    {
      row: 'R13',
      what: `broken promises I1-I8 (${kind} text)`,
      target: '0',
      measured: countOf(violations),
      met: violations.length === 0,
    },
  ];
}
