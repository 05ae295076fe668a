/**
 * Jobs of six models on four instances that hold one each, while the instances crash and come back with empty memories:
 * nothing is lost, jobs go where their model is, and no instance is taken to have in memory what it had before its crash.
 * 300 jobs (CHAOS_JOBS).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionRecord } from '../../src/simulator/run-log.ts';
import { TestClient } from '../../test/support/graphql-client.ts';
import { aftermath, bareId, countOf, ms, queueLength, startAll, submit, tally, untilIdle } from '../load.ts';
import { PatientClient } from '../patient-client.ts';
import { percentile } from '../percentile.ts';
import { type SimulatorProgram, withGround } from '../processes.ts';
import { type Finding, randomFrom, type Scenario } from '../scenario.ts';
import { type Crash, type Run, type Sample, staleTimes } from '../warm/memory.ts';
import { BLIND_LUCK, MODELS, modelFor, sampled } from '../warm/model-jobs.ts';

const POOL = 4;
const JOBS = Number(process.env.CHAOS_JOBS ?? 300);
const LOAD_MS = 1500;
/** Canaries are quicker than the ten steps of a job. */
const SHORTEST_MS = 200;
const KEPT_BUSY = 40;
/** A crash every so often, at most. */
const CRASH_EVERY_MS = 4000;
/** Away so long each time. */
const BOOT_MS = 800;
/** Somebody else kills the machines: neither a job nor an instance is to be blamed for it. */
const BLAMELESS = { JOB_MAX_CRASHES: '1000', BREAKER_THRESHOLD: '1000', RETRY_BUDGET_PERCENT: '100' };
const MAX_CRASHES = 1000;
/** From a crash until what was in memory must be forgotten. */
const FORGOTTEN_WITHIN_MS = 5000;

export const warmCrashes: Scenario = ({ seed, say }) =>
  withGround(async (ground) => {
    const random = randomFrom(seed);
    const simulators = await Promise.all(
      Array.from({ length: POOL }, (_, n) => ground.simulator(`gpu${n + 1}`)),
    );
    await startAll(simulators);
    const times = { modelLoadMs: LOAD_MS, stepMs: 20, bootMs: BOOT_MS };
    const options = { models: { checkpoints: MODELS }, residentModels: 1, ...times };
    await Promise.all(simulators.map((one) => one.control('options', options)));
    const gateway = await ground.gateway(simulators, BLAMELESS);
    await startAll([gateway]);
    const client = new TestClient(gateway.url);
    const over = new AbortController();
    const crashes: Crash[] = [];
    const samples: Sample[] = [];
    const beside = [
      crashing(simulators, random, crashes, over.signal),
      sampling(gateway.url, samples, over.signal),
    ];
    const acknowledged: string[] = [];
    const modelOf = new Map<string, string>();
    while (acknowledged.length < JOBS) {
      const { pending, processing } = await queueLength(client);
      for (let n = pending + processing; n < KEPT_BUSY && acknowledged.length < JOBS; n++) {
        const model = modelFor(random());
        const id = bareId(await submit(client, sampled(model, acknowledged.length)));
        acknowledged.push(id);
        modelOf.set(id, model);
      }
      await sleep(50);
    }
    await untilIdle(client, { withinMs: 300_000, say });
    over.abort();
    await Promise.all(beside);
    await client.close();
    const { jobs, attempts, violations } = await aftermath(gateway, simulators, {
      acknowledged,
      maxCrashes: MAX_CRASHES,
    });
    const executions = simulators.flatMap((one) => one.evidence().executions);
    const jobOf = new Map(attempts.map(({ id, job_id }) => [id, job_id]));
    const runs: Run[] = simulators.flatMap((one) =>
      one.evidence().executions.map(({ promptId, startedAt }) => {
        return { instance: one.name, model: modelOf.get(jobOf.get(promptId) ?? '') ?? '', startedAt };
      }),
    );
    say(`${crashes.length} crashes, ${samples.length} looks at what instances have in memory`);
    const completed = jobs.filter(({ status }) => status === 'COMPLETED').length;
    return [
      row(
        `${JOBS} jobs of ${MODELS.length} models through ${crashes.length} crashes of ${POOL} instances`,
        'all completed, 0 broken promises I1-I8',
        `${tally(jobs.map(({ status }) => status))}; ${countOf(violations)}`,
        completed === JOBS && violations.length === 0,
      ),
      warmth(executions),
      forgetting(staleTimes(crashes, samples, runs)),
    ];
  });

const row = (what: string, target: string, measured: string, met: boolean): Finding => ({
  row: 'warm',
  ...{ what, target, measured, met },
});

async function crashing(
  simulators: readonly SimulatorProgram[],
  random: () => number,
  crashes: Crash[],
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await sleep(random() * CRASH_EVERY_MS, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const victim = simulators[Math.floor(random() * simulators.length)];
    const at = Date.now();
    const away = crashes.some(({ instance, backAt }) => instance === victim?.name && backAt > at - 3000);
    if (!victim || away) continue;
    await victim.control('restart');
    crashes.push({ at, instance: victim.name, backAt: Date.now() + BOOT_MS });
  }
}

async function sampling(url: string, samples: Sample[], signal: AbortSignal): Promise<void> {
  const client = new PatientClient([url], signal);
  while (!signal.aborted) {
    const at = Date.now();
    const asked = client.run<Omit<Sample, 'at'>>('{ instances { name loadedModels } }');
    const said = await asked.catch(() => null);
    if (said) samples.push({ at, instances: said.instances });
    await sleep(100);
  }
}

/** A run that took as long as a load takes has loaded. */
function warmth(executions: readonly ExecutionRecord[]): Finding {
  const took = executions.flatMap(({ outcome, startedAt, endedAt }) =>
    outcome === 'success' && endedAt !== null && endedAt - startedAt >= SHORTEST_MS
      ? [endedAt - startedAt]
      : [],
  );
  const warm = took.filter((one) => one < LOAD_MS).length;
  return row(
    'runs that found their model in memory, by the logs of the instances',
    `more than twice the ${(100 * BLIND_LUCK).toFixed(0)} % of jobs that are sent anywhere`,
    `${warm} of ${took.length}, ${((100 * warm) / took.length).toFixed(0)} %`,
    warm / took.length > 2 * BLIND_LUCK,
  );
}

function forgetting(stale: readonly number[]): Finding {
  return row(
    'from a crash until its instance is no more said to have a model that it did not use since',
    `at most ${ms(FORGOTTEN_WITHIN_MS)}`,
    `p50 ${ms(percentile(stale, 0.5))}, longest ${ms(Math.max(0, ...stale))} of ${stale.length}`,
    stale.length > 0 && Math.max(...stale) <= FORGOTTEN_WITHIN_MS,
  );
}
