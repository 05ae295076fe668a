/**
 * 2,000 jobs (CHAOS_JOBS) with known outcomes and durations on four instances, once on one embedded gateway and once on a
 * cluster with a standby; the leader is killed half-way, instances crash: every figure equals the truth. CHAOS_ENGINE=sqlite or
 * postgres does one of the two.
 */
import { withCluster } from '../cluster/cluster.ts';
import { leaderOf, untilTermAfter } from '../cluster/leaders.ts';
import { startAll } from '../load.ts';
import { isMet, lineOf } from '../numbers/compare.ts';
import { type NumbersResult, type NumbersSize, numbersRound } from '../numbers/numbers-round.ts';
import { withGround } from '../processes.ts';
import { type Finding, randomFrom, type Scenario, type ScenarioSetting } from '../scenario.ts';

const SIZE: NumbersSize = { jobs: Number(process.env.CHAOS_JOBS ?? 2000), longestSeconds: 1.2, crashes: 3 };
const INSTANCES = 4;
const ENGINE = process.env.CHAOS_ENGINE;
/** What is to be tried again is tried again, however much fails. */
const ENV = { RETRY_BUDGET_PERCENT: '100' };

export const numbers: Scenario = async (setting) => {
  const findings: Finding[] = [];
  if (ENGINE !== 'postgres') findings.push(...findingsOf('SQLite', await numbersEmbedded(setting, SIZE)));
  if (ENGINE !== 'sqlite') findings.push(...findingsOf('Postgres', await numbersOnCluster(setting, SIZE)));
  return findings;
};

/** One process with everything in it. */
export function numbersEmbedded(
  { seed, say }: ScenarioSetting,
  size: NumbersSize,
  instanceCount = INSTANCES,
): Promise<NumbersResult> {
  return withGround(async (ground) => {
    const instances = await Promise.all(
      Array.from({ length: instanceCount }, (_, n) => ground.simulator(`gpu${n + 1}`)),
    );
    const gateway = await ground.gateway(instances, ENV);
    await startAll([...instances, gateway]);
    const killLeader = async (): Promise<void> => {
      await gateway.end('SIGKILL');
      await gateway.start();
    };
    const scene = { urls: [gateway.url], scrapeUrls: [gateway.url], instances, killLeader };
    return numbersRound(scene, size, { random: randomFrom(seed), say });
  });
}

/** Two API replicas, two schedulers. */
export function numbersOnCluster({ seed, say }: ScenarioSetting, size: NumbersSize): Promise<NumbersResult> {
  const setting = { apis: 2, schedulers: 2, instances: INSTANCES, env: { ...ENV, LEASE_TTL_MS: '3000' } };
  return withCluster(setting, async (cluster) => {
    const { apis, schedulers, instances } = cluster;
    const killLeader = async (): Promise<void> => {
      const { program, term } = await leaderOf(cluster);
      await program.end('SIGKILL');
      await untilTermAfter(cluster, term);
      await program.start();
    };
    const urls = (programs: readonly { readonly url: string }[]) => programs.map(({ url }) => url);
    const scene = { urls: urls(apis), scrapeUrls: urls(schedulers), instances, killLeader };
    return numbersRound(scene, size, { random: randomFrom(seed), say });
  });
}

function findingsOf(engine: string, { truth, comparisons, strange }: NumbersResult): Finding[] {
  const missed = comparisons.filter((one) => !isMet(one));
  const attempts = truth.jobs.reduce((sum, job) => sum + job.attempts.length, 0);
  return [
    {
      row: 'F',
      what: `${engine}: figures of ${truth.jobs.length} jobs and ${attempts} attempts beside the truth, the leader killed half-way`,
      target: `all ${comparisons.length}: counts equal, quantiles within a bin`,
      measured:
        missed.length === 0
          ? 'all'
          : `${missed.length} are not: ${missed.slice(0, 5).map(lineOf).join('; ')}`,
      met: missed.length === 0,
    },
    {
      row: 'F',
      what: `${engine}: jobs that did not end as they were ordered`,
      target: '0',
      measured: strange.length === 0 ? '0' : `${strange.length}: ${strange.slice(0, 5).join('; ')}`,
      met: strange.length === 0,
    },
  ];
}
