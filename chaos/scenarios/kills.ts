/** The gateway is killed 100 times and its instances 50 times while 1,000 jobs go through: nothing is lost, nothing doubled. */

import { MOMENTS } from '../kills/gateway-killer.ts';
import { type Judgement, judge } from '../kills/judge.ts';
import { killRound, type Round, type RoundSize } from '../kills/round.ts';
import { tableOf } from '../kills/table.ts';
import { percentile } from '../percentile.ts';
import { withGround } from '../processes.ts';
import { type Finding, randomFrom, type Scenario } from '../scenario.ts';

const SIZE: RoundSize = {
  jobs: 1000,
  instances: 4,
  gatewayKills: 100,
  instanceKills: 50,
  watchers: 3,
  longestPauseMs: 3500,
  longestMs: 600_000,
};

export const kills: Scenario = ({ seed, say }) =>
  withGround(async (ground) => {
    const round = await killRound({ ground, size: SIZE, random: randomFrom(seed), say });
    const judged = await judge(round);
    for (const line of tableOf(round, judged)) say(line);
    for (const text of complaintsOf(judged).slice(0, 40)) say(`! ${text}`);
    return findingsOf(round, judged);
  });

/** Everything that should not be, one line each. */
export function complaintsOf({ violations, spoilt, repeats, watcherErrors }: Judgement): string[] {
  return [
    ...violations.map(({ invariant, jobId, evidence }) => `${invariant} ${jobId ?? ''}: ${evidence}`),
    ...spoilt,
    ...watcherErrors.map((text) => `a watcher was told: ${text}`),
    ...repeats
      .filter(({ explainedBy }) => explainedBy === null)
      .map(({ jobId }) => `${jobId} ran again, and nobody killed its instance`),
  ];
}

function findingsOf(round: Round, judged: Judgement): Finding[] {
  const { lost, doubled, spoilt, violations, repeats, moments, inFlight, watcherErrors } = judged;
  const unexplained = repeats.filter(({ explainedBy }) => explainedBy === null).length;
  const missed = MOMENTS.filter((moment) => !moments.get(moment));
  const what = `${round.size.jobs} jobs through all these kills`;
  const { gatewayKills, instanceKills, size } = round;
  return [
    {
      row: 'R1',
      what: 'kills in the time there was',
      target: `${size.gatewayKills} of the gateway, ${size.instanceKills} of instances`,
      measured: `${gatewayKills.length} and ${instanceKills.length}`,
      met: gatewayKills.length >= size.gatewayKills && instanceKills.length >= size.instanceKills,
    },
    {
      row: 'R1',
      what,
      target: '0 lost, 0 duplicated, 0 results not whole, 0 runs repeated because the gateway died',
      measured: `${lost} lost, ${doubled} duplicated, ${spoilt.length} not whole, ${unexplained} repeated`,
      met: lost + doubled + spoilt.length + unexplained === 0,
    },
    {
      row: 'R1',
      what: 'invariants I1-I8 in the store, on the instances and for the watchers',
      target: '0 violations, 0 errors',
      measured: `${violations.length} violations, ${watcherErrors.length} errors for watchers`,
      met: violations.length + watcherErrors.length === 0,
    },
    {
      row: 'R1',
      what: 'states of attempts that a kill of the gateway met',
      target: MOMENTS.join(', '),
      measured: missed.length === 0 ? 'all' : `all but ${missed.join(', ')}`,
      met: missed.length === 0,
    },
    {
      row: 'R3',
      what: 'runs repeated because an instance was killed',
      target: `at most the ${inFlight} jobs that instances had when they were killed`,
      measured: String(repeats.length - unexplained),
      met: repeats.length - unexplained <= inFlight,
    },
    atMost(
      'R1',
      'start of a gateway until it has adopted what was open, p99',
      5000,
      gatewayKills.flatMap(({ adoptedAfterStartMs }) => adoptedAfterStartMs ?? []),
    ),
    atMost('R3', 'death of an instance until a job it had is taken back, p99', 20_000, judged.takenBackMs),
    {
      row: 'R4',
      what: 'from the last kill until every job has ended',
      target: 'at most 60 s',
      measured: round.calmAfterMs === null ? 'longer' : `${(round.calmAfterMs / 1000).toFixed(1)} s`,
      met: round.calmAfterMs !== null,
    },
  ];
}

/** The 99th percentile of what was seen. */
function atMost(row: string, what: string, targetMs: number, seen: readonly number[]): Finding {
  const p99 = percentile(seen, 0.99);
  return {
    row,
    what,
    target: `at most ${targetMs / 1000} s`,
    measured: seen.length === 0 ? 'never seen' : `${(p99 / 1000).toFixed(1)} s of ${seen.length}`,
    met: p99 <= targetMs,
  };
}
