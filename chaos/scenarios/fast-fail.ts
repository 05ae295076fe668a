/**
 * One instance of four fails every job at once, as a graphics card does that is lost: always idle, it would attract the
 * whole queue. Once with a text of CUDA, once with one that nobody has seen before; then each in turn, to time how soon it
 * is put aside. (R13)
 */
import { decodeGlobalId } from '../../src/graphql/global-id.ts';
import { isObject } from '../../src/lib/json.ts';
import { eventually } from '../../test/support/eventually.ts';
import { TestClient } from '../../test/support/graphql-client.ts';
import { sleepGraph } from '../../test/support/graphs.ts';
import { aftermath, bareId, countOf, inLanes, startAll, submit, tally, untilIdle } from '../load.ts';
import { percentile } from '../percentile.ts';
import { type GatewayProgram, type Ground, type SimulatorProgram, withGround } from '../processes.ts';
import type { Finding, Scenario, ScenarioSetting } from '../scenario.ts';

const TEXTS = {
  CUDA: { type: 'RuntimeError', message: 'CUDA error: an illegal memory access was encountered' },
  unknown: { type: 'RuntimeError', message: 'the frobnicator is out of cheese' },
} as const;

/** `CHAOS_JOBS` makes it shorter. */
const JOBS = Number(process.env.CHAOS_JOBS ?? 200);
const EPISODES = 10;
const JOBS_PER_EPISODE = 24;

export const fastFail: Scenario = async (setting) => {
  const findings: Finding[] = [];
  for (const kind of ['CUDA', 'unknown'] as const) {
    findings.push(...(await withGround((ground) => round(ground, kind, setting))));
  }
  findings.push(...(await withGround((ground) => manyTimes(ground, setting))));
  return findings;
};

/** The same again and again on one fleet: an instance breaks, is put aside, is started anew and taken back. */
async function manyTimes(ground: Ground, { say }: ScenarioSetting): Promise<Finding[]> {
  const simulators = await Promise.all(
    [0, 1, 2, 3].map((n) => ground.simulator(`gpu${n}`, { stepMs: 5, nodeMs: 5 })),
  );
  await startAll(simulators);
  const gateway = await ground.gateway(simulators);
  await startAll([gateway]);
  const client = new TestClient(gateway.url);
  const seen: Episode[] = [];
  for (let n = 0; n < EPISODES; n++) {
    const bad = simulators[n % simulators.length];
    if (!bad) throw new Error('no simulator');
    const ids = await allInUse(client);
    await bad.setFaults({ stickyError: n % 2 === 0 ? TEXTS.CUDA : TEXTS.unknown });
    const since = Date.now();
    await inLanes(JOBS_PER_EPISODE, 16, async (lane) => {
      const salt = 10_000 + n * JOBS_PER_EPISODE + lane;
      await submit(client, sleepGraph({ seconds: 0.05, steps: 2, salt }));
    });
    await untilIdle(client, { withinMs: 60_000, say });
    seen.push(episode(bad, gateway, ids.get(bad.name) ?? '', since));
    await bad.setFaults({ stickyError: null });
    await bad.end();
    await bad.start();
  }
  await client.close();
  return [timesOf(seen, say)];
}

interface Episode {
  /** From the end of the first job that failed there to the line in the log; NaN when it was not put aside. */
  readonly ms: number;
  /** Jobs that failed there. */
  readonly touched: number;
}

function episode(bad: SimulatorProgram, gateway: GatewayProgram, id: string, since: number): Episode {
  const { prompts, executions } = bad.evidence();
  const canaries = new Set(prompts.flatMap(({ promptId, tag }) => (isCanary(tag) ? [promptId] : [])));
  const failed = executions.flatMap((run) =>
    run.outcome === 'error' && run.startedAt >= since && !canaries.has(run.promptId)
      ? [run.endedAt ?? 0]
      : [],
  );
  const aside = gateway
    .log()
    .split('\n')
    .flatMap((line) => (line.includes('"from":"CLOSED"') && line.includes(id) ? [JSON.parse(line)] : []))
    .map((line: { time: string }) => Date.parse(line.time))
    .find((at) => at >= since);
  return { ms: (aside ?? Number.NaN) - Math.min(...failed), touched: failed.length };
}

function isCanary(tag: unknown): boolean {
  return isObject(tag) && tag.canary === true;
}

function timesOf(seen: readonly Episode[], say: (line: string) => void): Finding {
  const times = seen.map(({ ms }) => ms);
  const most = Math.max(...seen.map(({ touched }) => touched));
  say(`put aside ${times.map(Math.round).join(', ')} ms after the first failure`);
  return {
    row: 'R13',
    what: `from the first failure to put aside, ${seen.length} times (both texts in turn)`,
    target: 'every time, at most 2 jobs touched',
    measured: `p50 ${percentile(times, 0.5).toFixed(0)} ms, p99 ${percentile(times, 0.99).toFixed(0)} ms; at most ${most} jobs touched`,
    met: times.every(Number.isFinite) && most <= 2,
  };
}

/** Ids by name, once every instance answers and gets jobs. */
async function allInUse(client: TestClient): Promise<Map<string, string>> {
  const query = '{ instances { id name health breaker } }';
  return eventually(
    async () => {
      const { instances } = await client.run<{
        instances: { id: string; name: string; health: string; breaker: string }[];
      }>(query);
      const ready = instances.every((one) => one.health === 'HEALTHY' && one.breaker === 'CLOSED');
      return ready && new Map(instances.map(({ id, name }) => [name, decodeGlobalId(id)?.id ?? id]));
    },
    { withinMs: 60_000, what: 'every instance is used again' },
  );
}

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
