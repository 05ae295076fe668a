/**
 * Two schedulers and two API replicas run 500 jobs (CHAOS_JOBS) while their leader is killed again and again, and stopped in
 * order now and then, for six minutes (CHAOS_MINUTES): nothing is lost or run twice, and what ran is adopted within the
 * lease and five seconds. (R8, F36)
 */
import { type ClusterSetting, withCluster } from '../cluster/cluster.ts';
import { type ClusterJudgement, commonFindings, judgeCluster, linesOf } from '../cluster/judge-cluster.ts';
import { type KillSize, LeaderKiller, type Takeover } from '../cluster/leader-killer.ts';
import { type Loaded, type LoadSize, underLoad } from '../cluster/under-load.ts';
import { ms } from '../load.ts';
import { percentile } from '../percentile.ts';
import { type Finding, randomFrom, type Scenario, type ScenarioSetting } from '../scenario.ts';

const JOBS = Number(process.env.CHAOS_JOBS ?? 500);
const MINUTES = Number(process.env.CHAOS_MINUTES ?? 6);
const LEASE_TTL_MS = Number(process.env.CHAOS_LEASE_MS ?? 10_000);

export const leaderKills: Scenario = (setting) => {
  const load = { jobs: JOBS, watchers: 4, mostUnfinished: 40, longestSeconds: 1.5 };
  const longestMs = MINUTES * 60_000;
  const kills = { kills: 1000, stopEvery: 4, aimed: 0.5, longestPauseMs: 4000, longestMs };
  const size = { apis: 2, schedulers: 2, instances: 4 };
  return killLeaders({ ...setting, load, kills, size, leaseTtlMs: LEASE_TTL_MS }).then(
    ({ findings }) => findings,
  );
};

export interface LeaderKillsSetting extends ScenarioSetting {
  readonly load: LoadSize;
  readonly kills: KillSize;
  readonly size: Pick<ClusterSetting, 'apis' | 'schedulers' | 'instances'>;
  readonly leaseTtlMs: number;
}

export interface LeaderKillsResult {
  readonly judged: ClusterJudgement;
  readonly loaded: Loaded;
  readonly takeovers: readonly Takeover[];
  readonly findings: readonly Finding[];
}

export function killLeaders(setting: LeaderKillsSetting): Promise<LeaderKillsResult> {
  const { seed, say, load, leaseTtlMs } = setting;
  const env = { LEASE_TTL_MS: String(leaseTtlMs) };
  return withCluster({ ...setting.size, env }, async (cluster) => {
    const disturbance = new LeaderKiller(setting.kills);
    const loaded = await underLoad({ cluster, size: load, disturbance, random: randomFrom(seed), say });
    await cluster.ground.endAll();
    const judged = await judgeCluster(cluster, loaded);
    for (const line of linesOf(judged, loaded)) say(line);
    const { takeovers } = disturbance;
    const findings = [
      ...commonFindings('R8', judged, loaded),
      ...takeoverFindings(takeovers, leaseTtlMs),
      {
        row: 'R7',
        what: 'rows that a scheduler wrote in the term of another',
        target: '0',
        measured: String(judged.stale.length),
        met: judged.stale.length === 0,
      },
    ];
    return { judged, loaded, takeovers, findings };
  });
}

function takeoverFindings(takeovers: readonly Takeover[], leaseTtlMs: number): Finding[] {
  const killed = takeovers.filter(({ how }) => how === 'killed');
  const stopped = takeovers.filter(({ how }) => how === 'stopped');
  return [
    atMost(
      `kill -9 of the leader until its ${killed.reduce((sum, { open }) => sum + open, 0)} prompts are adopted, lease ${leaseTtlMs} ms`,
      leaseTtlMs + 5000,
      killed.map(({ adoptedAfterMs }) => adoptedAfterMs),
    ),
    atMost(
      'clean stop of the leader until another leads',
      2000,
      stopped.map(({ ledAfterMs }) => ledAfterMs),
    ),
  ];
}

function atMost(what: string, targetMs: number, seen: readonly number[]): Finding {
  const p99 = percentile(seen, 0.99);
  return {
    row: 'R8',
    what,
    target: `p99 at most ${ms(targetMs)}`,
    measured:
      seen.length === 0
        ? 'never seen'
        : `p50 ${ms(percentile(seen, 0.5))}, p99 ${ms(p99)}, longest ${ms(Math.max(...seen))} of ${seen.length}`,
    met: p99 <= targetMs,
  };
}
