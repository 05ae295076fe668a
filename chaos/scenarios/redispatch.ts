/**
 * How long after an instance is gone its job starts on another one, with the timings of the defaults: a process that is
 * killed, a process that is stopped and answers nothing (SIGSTOP), and one whose worker is dead behind a healthy face. (R9)
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { quantile } from '../../bench/statistics.ts';
import { TestClient } from '../../test/support/graphql-client.ts';
import { sleepGraph } from '../../test/support/graphs.ts';
import { act } from '../../test/support/jobs.ts';
import { aftermath, bareId, countOf, DEFAULT_TIMES, inLanes, startAll, submit, untilIdle } from '../load.ts';
import { type SimulatorProgram, withGround } from '../processes.ts';
import { type Finding, randomFrom, type Scenario } from '../scenario.ts';

const POOL = 12;
const VICTIMS = Number(process.env.CHAOS_VICTIMS ?? 6);
const ROUNDS = { killed: 5, stopped: 2, 'worker dead': 2 } as const;
/** So many dispatches allow a tenth of repeated ones, more than the rounds need. */
const WARM_UP = 60 + 12 * VICTIMS * 9;
type Kind = keyof typeof ROUNDS;

interface AttemptView {
  readonly number: number;
  readonly instanceName: string;
  readonly startedAt: string;
  readonly outcome: string | null;
}

export const redispatch: Scenario = ({ seed, say }) =>
  withGround(async (ground) => {
    const random = randomFrom(seed);
    const simulators = await Promise.all(Array.from({ length: POOL }, (_, n) => ground.simulator(`gpu${n}`)));
    await startAll(simulators);
    const gateway = await ground.gateway(simulators, DEFAULT_TIMES);
    await startAll([gateway]);
    const client = new TestClient(gateway.url);
    const stage: Stage = { client, simulators, random, say, acknowledged: [], salt: 1 };
    await runShortJobs(stage, WARM_UP);
    say(`${WARM_UP} jobs ran, so that repeated attempts are few among all`);
    const losses: Loss[] = [];
    for (const kind of ['killed', 'stopped', 'worker dead'] as const) {
      for (let round = 0; round < ROUNDS[kind]; round++) losses.push(...(await oneRound(stage, kind)));
    }
    await untilIdle(client, { withinMs: 120_000, say });
    await client.close();
    const { attempts, violations } = await aftermath(gateway, simulators, {
      acknowledged: stage.acknowledged,
    });
    const took = (kind: Kind): number[] =>
      losses
        .filter((loss) => loss.kind === kind)
        .map(({ jobId, at }) => {
          const next = attempts.find(({ job_id, number }) => job_id === jobId && number === 2);
          return (next?.running_at ?? Number.POSITIVE_INFINITY) - at;
        });
    return [
      row('killed (SIGKILL) in the middle of a job', 20_000, took('killed'), 'its crash'),
      row('stopped (SIGSTOP, a black hole) in the middle of a job', 45_000, took('stopped'), 'the stop'),
      row('there with a dead worker, HTTP healthy', 45_000, took('worker dead'), 'the dispatch to it'),
      {
        row: 'R9',
        what: 'broken promises I1-I8',
        target: '0',
        measured: countOf(violations),
        met: violations.length === 0,
      },
    ];
  });

interface Stage {
  readonly client: TestClient;
  readonly simulators: readonly SimulatorProgram[];
  readonly random: () => number;
  readonly say: (line: string) => void;
  readonly acknowledged: string[];
  salt: number;
}

/** A job whose instance was lost with it; at: epoch ms. */
interface Loss {
  readonly kind: Kind;
  readonly jobId: string;
  readonly at: number;
}

/** Every job of it began once more. */
async function oneRound(stage: Stage, kind: Kind): Promise<Loss[]> {
  const { client, simulators, say, random } = stage;
  if (kind === 'worker dead')
    await Promise.all(simulators.slice(0, POOL / 2).map((one) => one.setFaults({ workerDead: true })));
  const jobs = await Promise.all(
    Array.from({ length: kind === 'worker dead' ? POOL / 2 : VICTIMS }, () => submitLong(stage)),
  );
  const took = await Promise.all(
    jobs.map(async (id) => {
      const first = await attempt(client, id, 1);
      const victim = simulators.find((one) => one.name === first.instanceName);
      if (!victim) throw new Error('the job is nowhere');
      let lostAt = Date.parse(first.startedAt);
      if (kind === 'worker dead') {
        // those that came to a healthy instance have nothing to show
        if (simulators.indexOf(victim) >= POOL / 2) return null;
      } else {
        await sleep(1000 + random() * 1000);
        lostAt = Date.now();
        if (kind === 'killed') await victim.end('SIGKILL');
        else victim.signal('SIGSTOP');
      }
      const second = await attempt(client, id, 2);
      return { kind, jobId: bareId(id), at: lostAt, tookMs: Date.parse(second.startedAt) - lostAt };
    }),
  );
  await Promise.all(jobs.map((id) => act(client, 'cancelJob', id)));
  await restore(stage, kind);
  const measured = took.filter((one) => one !== null);
  say(`${kind}: ${measured.map(({ tookMs }) => `${(tookMs / 1000).toFixed(1)} s`).join(', ')}`);
  return measured;
}

async function submitLong(stage: Stage): Promise<string> {
  const graph = sleepGraph({ seconds: 300, steps: 1500, salt: stage.salt++ });
  const id = await submit(stage.client, graph);
  stage.acknowledged.push(bareId(id));
  return id;
}

async function runShortJobs(stage: Stage, count: number): Promise<void> {
  const { client, say, acknowledged } = stage;
  await inLanes(count, 16, async () => {
    const graph = sleepGraph({ seconds: 0.001, steps: 1, salt: stage.salt++ });
    acknowledged.push(bareId(await submit(client, graph)));
  });
  await untilIdle(client, { withinMs: 120_000, say });
}

/** Every instance is well again, the gateway has seen it, and a job went well on each, so that no fault is counted on. */
async function restore(stage: Stage, kind: Kind): Promise<void> {
  const { client, simulators, say } = stage;
  if (kind === 'stopped') for (const one of simulators) one.signal('SIGCONT');
  await startAll(simulators.filter((one) => !one.running));
  await Promise.all(
    simulators.map(async (one) => {
      if (kind === 'worker dead') await one.setFaults({ workerDead: false });
      if (kind === 'worker dead') await one.control('restart').catch(() => undefined);
    }),
  );
  await untilIdle(client, { withinMs: 120_000, say });
  const QUERY = '{ instances { health breaker } }';
  for (let tries = 0; tries < 600; tries++) {
    const { instances } = await client.run<{ instances: { health: string; breaker: string }[] }>(QUERY);
    if (instances.every(({ health, breaker }) => health !== 'UNHEALTHY' && breaker === 'CLOSED')) {
      await runShortJobs(stage, 4 * POOL);
      return;
    }
    await sleep(200);
  }
  throw new Error('the instances do not come back');
}

const WHY = `query($id: ID!) { job(id: $id) { status queue { position blockedBy } attempts { instanceName outcome } }
  instances { name health breaker running lastError } }`;
const ATTEMPTS = 'query($id: ID!) { job(id: $id) { attempts { number instanceName startedAt outcome } } }';

async function attempt(client: TestClient, id: string, number: number): Promise<AttemptView> {
  for (let tries = 0; tries < 1200; tries++) {
    const { job } = await client.run<{ job: { attempts: AttemptView[] } | null }>(ATTEMPTS, { id });
    const found = job?.attempts.find((one) => one.number === number);
    if (found) return found;
    await sleep(100);
  }
  const about = await client.run(WHY, { id });
  throw new Error(`attempt ${number} did not start within 2 minutes: ${JSON.stringify(about)}`);
}

function row(what: string, targetMs: number, samples: readonly number[], from: string): Finding {
  const p99 = quantile(samples, 0.99);
  const seconds = (value: number): string => `${(value / 1000).toFixed(1)} s`;
  return {
    row: 'R9',
    what: `an instance is ${what}: time from ${from} until its job runs elsewhere`,
    target: `p99 at most ${seconds(targetMs)}`,
    measured: `p50 ${seconds(quantile(samples, 0.5))}, p99 ${seconds(p99)}, longest ${seconds(Math.max(...samples))} of ${samples.length}`,
    met: p99 <= targetMs,
  };
}
