/** The same jobs with the WebSocket of every instance and with none at all: what nobody tells is found out by asking. (R10) */

import { quantile } from '../../bench/statistics.ts';
import { TestClient } from '../../test/support/graphql-client.ts';
import { sleepGraph } from '../../test/support/graphs.ts';
import {
  type Aftermath,
  aftermath,
  bareId,
  countOf,
  DEFAULT_TIMES,
  inLanes,
  ms,
  startAll,
  submit,
  untilIdle,
} from '../load.ts';
import { type Ground, withGround } from '../processes.ts';
import { type Finding, randomFrom, type Scenario, type ScenarioSetting } from '../scenario.ts';

const JOBS = Number(process.env.CHAOS_JOBS ?? 120);
const INSTANCES = 4;

export const noSocket: Scenario = async (setting) => {
  const withSockets = await withGround((ground) => round(ground, 'open', setting));
  const refused = await withGround((ground) => round(ground, 'refused', setting));
  const unused = await withGround((ground) => round(ground, 'not used', setting));
  return [
    ...compared(withSockets, refused, 'refused by the instances'),
    ...compared(withSockets, unused, 'switched off'),
  ];
};

async function round(
  ground: Ground,
  sockets: 'open' | 'refused' | 'not used',
  { seed, say }: ScenarioSetting,
): Promise<Aftermath> {
  const random = randomFrom(seed);
  const simulators = await Promise.all(
    Array.from({ length: INSTANCES }, (_, n) => ground.simulator(`gpu${n}`)),
  );
  await startAll(simulators);
  await Promise.all(simulators.map((one) => one.setFaults({ refuseSockets: sockets === 'refused' })));
  const gateway = await ground.gateway(simulators, {
    ...DEFAULT_TIMES,
    COMFYUI_WEBSOCKET: String(sockets !== 'not used'),
  });
  await startAll([gateway]);
  const client = new TestClient(gateway.url);
  const acknowledged: string[] = [];
  say(`${JOBS} jobs of 0.05 to 3 s, sockets ${sockets}`);
  // as many at once as there are instances, so that nothing waits for a place
  await inLanes(JOBS, INSTANCES, async (salt) => {
    const id = await submit(client, sleepGraph({ seconds: 0.05 + random() * 3, steps: 5, salt }), {
      waitMs: 60_000,
    });
    acknowledged.push(bareId(id));
  });
  await untilIdle(client, { withinMs: 120_000, say });
  await client.close();
  return aftermath(gateway, simulators, { acknowledged });
}

/** How much longer each job took from its start to its end than its run on the instance. */
function overheads({ jobs }: Aftermath): number[] {
  return jobs.map(
    ({ finished_at: end, started_at: start, run_ms: run }) => (end ?? 0) - (start ?? 0) - (run ?? 0),
  );
}

function compared(open: Aftermath, none: Aftermath, how: string): Finding[] {
  const completed = none.jobs.filter((job) => job.status === 'COMPLETED').length;
  const [usual, slow] = [quantile(overheads(open), 0.95), quantile(overheads(none), 0.95)];
  const row = (what: string, target: string, measured: string, met: boolean) => ({
    row: 'R10',
    what: `${what}, sockets ${how}`,
    target,
    measured,
    met,
  });
  return [
    row(`jobs that completed, of ${JOBS}`, 'all', String(completed), completed === JOBS),
    row(
      'added latency, p95',
      'at most 15 s',
      `${ms(slow - usual)} (${ms(usual)} to ${ms(slow)})`,
      slow - usual <= 15_000,
    ),
    row('broken promises I1-I8', '0', countOf(none.violations), none.violations.length === 0),
  ];
}
