/**
 * The leader sleeps past its lease, another leads and acts, the old one wakes: 20 times (CHAOS_ROUNDS) while jobs run. What
 * it still tries to write is refused, and it posts nothing more. (R7, F36)
 */
import { writersOfAttempts } from '../cluster/audit.ts';
import { type Cluster, withCluster } from '../cluster/cluster.ts';
import { commonFindings, judgeCluster, linesOf } from '../cluster/judge-cluster.ts';
import { type Freeze, LeaderFreezer } from '../cluster/leader-freezer.ts';
import { prompted } from '../cluster/prompts.ts';
import { underLoad } from '../cluster/under-load.ts';
import { type Finding, randomFrom, type Scenario } from '../scenario.ts';

const ROUNDS = Number(process.env.CHAOS_ROUNDS ?? 20);
const JOBS = Number(process.env.CHAOS_JOBS ?? 300);

export const splitBrain: Scenario = ({ seed, say }) =>
  withCluster(
    { apis: 2, schedulers: 2, instances: 4, env: { LEASE_TTL_MS: '2000' } },
    async (cluster): Promise<Finding[]> => {
      const disturbance = new LeaderFreezer({ rounds: ROUNDS, longestActMs: 1500, longestPauseMs: 1500 });
      const size = { jobs: JOBS, watchers: 4, mostUnfinished: 40, longestSeconds: 1.2 };
      const loaded = await underLoad({ cluster, size, disturbance, random: randomFrom(seed), say });
      await cluster.ground.endAll();
      const judged = await judgeCluster(cluster, loaded);
      for (const line of linesOf(judged, loaded)) say(line);
      const { freezes } = disturbance;
      const late = await postedLate(cluster, freezes);
      for (const { who, promptId } of late) say(`! ${who} posted ${promptId} after its term`);
      return [
        {
          row: 'R7',
          what: `${freezes.length} times the leader slept past its lease with ${sum(freezes, 'open')} attempts open and woke after its successor had posted ${sum(freezes, 'acted')} prompts`,
          target: '0 rows written in the term of another',
          measured: `${judged.stale.length}`,
          met: judged.stale.length === 0 && freezes.length >= ROUNDS,
        },
        {
          row: 'R7',
          what: 'prompts that it posted after it woke',
          target: '0',
          measured: String(late.length),
          met: late.length === 0,
        },
        ...commonFindings('R7', judged, loaded),
      ];
    },
  );

function sum(freezes: readonly Freeze[], of: 'open' | 'acted'): number {
  return freezes.reduce((all, freeze) => all + freeze[of], 0);
}

/** Prompts of attempts that a program made in its term, posted after it had slept past that. */
async function postedLate(
  cluster: Cluster,
  freezes: readonly Freeze[],
): Promise<{ readonly who: string; readonly promptId: string }[]> {
  const made = new Map((await writersOfAttempts(cluster.rows)).map((row) => [row.attempt_id, row]));
  return prompted(cluster).flatMap(({ id, at }) => {
    const writer = made.get(id);
    const slept = freezes.find(({ who, term }) => who === writer?.who && term === writer.term);
    return writer && slept && at >= slept.wokenAt ? [{ who: writer.who, promptId: id }] : [];
  });
}
