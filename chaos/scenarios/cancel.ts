/**
 * A cancel against each state of a job, a hundred times for each state and order. `first`: the cancel comes while a fault
 * holds the job in the state; `second`: the fault is lifted at the same moment, and either may win. One terminal event
 * each, every answer as the end says, and the GPU is free within five seconds.
 */
import { decodeGlobalId } from '../../src/graphql/global-id.ts';
import type { Faults } from '../../src/simulator/faults.ts';
import { eventually } from '../../test/support/eventually.ts';
import { TestClient } from '../../test/support/graphql-client.ts';
import { sleepGraph } from '../../test/support/graphs.ts';
import { checkHistory, withStoreOf } from '../../test/support/history-checker.ts';
import { act, ended, findJob, type JobView, submitGraph } from '../../test/support/jobs.ts';
import { type SimulatorProgram, withGround } from '../processes.ts';
import type { Scenario } from '../scenario.ts';

const TIMES = Number(process.env.CHAOS_TIMES ?? 100);
const FREE_MS = 5000;

interface State {
  readonly name: string;
  /** Holds a job there; lifted again for the second order. */
  readonly faults: Partial<Faults>;
  readonly seconds: number;
  readonly reached: (job: JobView, queue: Queue) => boolean;
}

interface Queue {
  readonly running: number;
  readonly pending: number;
}

const begun = (job: JobView): boolean => job.attempts.length > 0;
const hasEnded = ({ status }: JobView): boolean => status !== 'PENDING' && status !== 'PROCESSING';

const STATES: readonly State[] = [
  { name: 'queued', faults: {}, seconds: 0, reached: () => true },
  { name: 'submitting', faults: { frozen: true }, seconds: 0, reached: begun },
  { name: 'pending', faults: { workerDead: true }, seconds: 0, reached: (_, { pending }) => pending > 0 },
  {
    name: 'running',
    faults: {},
    seconds: 0.2,
    reached: (job) => job.progress.step !== null || hasEnded(job),
  },
  {
    name: 'collecting',
    faults: { slowBodies: 1 },
    seconds: 0,
    reached: (job, { running }) => begun(job) && running === 0,
  },
  {
    name: 'waiting for retry',
    // not by refusing prompts: canaries would be refused too, and the instance put aside for longer each time
    faults: { nodeErrors: { RigSleep: { type: 'RuntimeError', message: 'not this time' } } },
    seconds: 0,
    reached: (job) => job.attempts.some(({ outcome }) => outcome !== null),
  },
  { name: 'terminal', faults: {}, seconds: 0, reached: hasEnded },
];

export const cancel: Scenario = ({ seed, say }) =>
  withGround(async (ground) => {
    const simulator = await ground.simulator('gpu');
    await simulator.start();
    // faults are how a job is held in a state: nothing may be concluded from them
    const patient = { STALLED_START_MS: '60000', BREAKER_OPEN_MS: '200', RETRY_BUDGET_PERCENT: '100' };
    const retries = { RETRY_BASE_MS: '300', RETRY_CAP_MS: '300' };
    const gateway = await ground.gateway([simulator], { LOG_LEVEL: 'warn', ...patient, ...retries });
    await gateway.start();
    const client = new TestClient(gateway.url);
    const acknowledged: string[] = [];
    const tally = { wrong: 0, late: 0, slowest: 0, canceled: 0 };
    for (const state of STATES) {
      for (const order of ['first', 'second'] as const) {
        for (let n = 0; n < TIMES; n++) {
          const graph = sleepGraph({ seconds: state.seconds, steps: 10, salt: seed + acknowledged.length });
          const outcome = await once(client, simulator, state, order, graph);
          acknowledged.push(outcome.id);
          if (!outcome.agree) tally.wrong += 1;
          if (outcome.freeMs > FREE_MS) tally.late += 1;
          if (outcome.canceled) tally.canceled += 1;
          tally.slowest = Math.max(tally.slowest, outcome.freeMs);
        }
        say(`${state.name}, cancel ${order}: done`);
      }
    }
    await client.close();
    await gateway.end('SIGTERM');
    const evidence = {
      acknowledged: acknowledged.map((id) => decodeGlobalId(id)?.id ?? id),
      instances: [simulator.evidence()],
    };
    const violations = await withStoreOf(gateway.dataDir, (db) => checkHistory(db, evidence));
    for (const violation of violations.slice(0, 10)) say(JSON.stringify(violation));
    return [
      {
        row: 'R15',
        what: `${STATES.length} states x both orders x ${TIMES}`,
        target: 'one terminal event each, answers agree with it, GPU free within 5 s',
        measured: `${violations.length} violations, ${tally.wrong} wrong answers, ${tally.canceled} canceled, GPU free after ${Math.round(tally.slowest)} ms at most, ${tally.late} later than 5 s`,
        met: violations.length === 0 && tally.wrong === 0 && tally.late === 0,
      },
    ];
  });

async function once(
  client: TestClient,
  simulator: SimulatorProgram,
  { faults, seconds, reached }: State,
  order: 'first' | 'second',
  graph: ReturnType<typeof sleepGraph>,
): Promise<{ id: string; agree: boolean; canceled: boolean; freeMs: number }> {
  const lift = Object.fromEntries(Object.keys(faults).map((name) => [name, NO_FAULT[name] ?? null]));
  await eventually(() => takesWork(client), { what: 'an instance that takes work', withinMs: 30_000 });
  await simulator.control('faults', faults);
  const { id } = await submitGraph(client, graph);
  const frozen = 'frozen' in faults;
  await eventually(
    async () => {
      const job = await findJob(client, id);
      return job && reached(job, frozen ? { running: 0, pending: 0 } : await queueOf(simulator));
    },
    { what: `the state (${Object.keys(faults).join()}, ${seconds} s)`, withinMs: 20_000 },
  );
  const answers = [];
  if (order === 'first') answers.push(await act(client, 'cancelJob', id));
  const [answer] = await Promise.all([act(client, 'cancelJob', id), simulator.control('faults', lift)]);
  answers.push(answer);
  const at = performance.now();
  // a worker that died is cured by a restart only
  if ('workerDead' in faults)
    await eventually(async () => (await queueOf(simulator)).pending === 0, { withinMs: 20_000 });
  const { status } = await ended(client, id);
  await eventually(
    async () => {
      const { running, pending } = await queueOf(simulator);
      return running + pending === 0;
    },
    { what: 'a free GPU', withinMs: 30_000 },
  );
  const freeMs = performance.now() - at;
  if ('workerDead' in faults) {
    await simulator.control('restart');
    await simulator.serving();
  }
  await eventually(
    async () => (await findJob(client, id))?.attempts.every(({ outcome }) => outcome !== null),
    {
      withinMs: 30_000,
    },
  );
  const agree = answers.every((each) =>
    status === 'CANCELED' ? each.job?.status === status : each.status === status,
  );
  return { id, agree, canceled: status === 'CANCELED', freeMs };
}

async function takesWork(client: TestClient): Promise<boolean> {
  const { instances } = await client.run<{ instances: { breaker: string; health: string }[] }>(
    '{ instances { id breaker health } }',
  );
  return instances.every(({ breaker, health }) => breaker === 'CLOSED' && health === 'HEALTHY');
}

const NO_FAULT: Readonly<Record<string, unknown>> = { frozen: false, workerDead: false, nodeErrors: {} };

async function queueOf({ url }: SimulatorProgram): Promise<Queue> {
  const answer = await fetch(`${url}/queue`);
  const queue = (await answer.json()) as { queue_running: unknown[]; queue_pending: unknown[] };
  return { running: queue.queue_running.length, pending: queue.queue_pending.length };
}
