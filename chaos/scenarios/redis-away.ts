/**
 * Redis goes away for 30 s (CHAOS_SECONDS) under load, comes back empty, and is emptied three times more: no job is lost,
 * none waits longer than the rows are polled, and every watcher gets to the end of its jobs. (F33)
 */
import { type Cluster, withCluster } from '../cluster/cluster.ts';
import { commonFindings, judgeCluster, linesOf } from '../cluster/judge-cluster.ts';
import { TimeTable } from '../cluster/time-table.ts';
import { underLoad } from '../cluster/under-load.ts';
import { DEFAULT_TIMES, ms } from '../load.ts';
import { percentile } from '../percentile.ts';
import { type Finding, randomFrom, type Scenario } from '../scenario.ts';

const AWAY_S = Number(process.env.CHAOS_SECONDS ?? 30);
const JOBS = Number(process.env.CHAOS_JOBS ?? 200);
/** What no hint announces is found that soon at the latest. */
const POLLED_MS = 5000;

/** Epoch ms. */
interface Away {
  from: number;
  to: number;
}

export const redisAway: Scenario = ({ seed, say }) =>
  withCluster(
    { apis: 2, schedulers: 2, instances: 4, env: { ...DEFAULT_TIMES } },
    async (cluster): Promise<Finding[]> => {
      const away: Away = { from: 0, to: 0 };
      const disturbance = timeTable(away);
      const size = { jobs: JOBS, watchers: 4, mostUnfinished: 20, longestSeconds: 0.3 };
      const loaded = await underLoad({ cluster, size, disturbance, random: randomFrom(seed), say });
      await cluster.ground.endAll();
      const judged = await judgeCluster(cluster, loaded);
      for (const line of linesOf(judged, loaded)) say(line);
      const deliveries = loaded.watchers.flatMap((watcher) => watcher.deliveries);
      const during = deliveries.filter(({ at }) => at >= away.from && at < away.to);
      return [
        ...commonFindings('F33', judged, loaded),
        atMost('submit to start of jobs submitted while Redis was away', await startDelays(cluster, away)),
        atMost(
          'event to watcher while Redis was away',
          during.map(({ lateMs }) => lateMs),
        ),
        {
          row: 'F33',
          what: 'requests that had to be repeated, subscriptions that broke',
          target: '0',
          measured: `${loaded.load.unanswered} and ${loaded.watchers.reduce((sum, { reconnected }) => sum + reconnected, 0)}`,
          met: loaded.load.unanswered === 0 && loaded.watchers.every(({ reconnected }) => reconnected === 0),
        },
      ];
    },
  );

function timeTable(away: Away): TimeTable {
  const { before, after } = { before: 5000, after: 15_000 };
  return new TimeTable(before + AWAY_S * 1000 + after, async ({ cluster: { redis }, pause, random, say }) => {
    await pause(before);
    await redis.stop();
    away.from = Date.now();
    say('Redis is away');
    await pause(AWAY_S * 1000);
    away.to = Date.now();
    await redis.start();
    say('Redis is back');
    for (let times = 0; times < 3; times += 1) {
      await pause((after / 3) * random());
      await redis.flushAll();
    }
  });
}

/** Of jobs that were submitted meanwhile, in ms. */
async function startDelays({ rows }: Cluster, { from, to }: Away): Promise<number[]> {
  const found = await rows.all<{ delay: number }>(
    `select min(a.started_at) - j.created_at as delay from jobs j join attempts a on a.job_id = j.id
      where j.created_at >= $1 and j.created_at < $2 group by j.id, j.created_at`,
    [from, to],
  );
  return found.map(({ delay }) => delay);
}

function atMost(what: string, seen: readonly number[]): Finding {
  const longest = Math.max(...seen);
  return {
    row: 'F33',
    what,
    target: `at most ${ms(POLLED_MS)}`,
    measured: `p50 ${ms(percentile(seen, 0.5))}, p99 ${ms(percentile(seen, 0.99))}, longest ${ms(longest)} of ${seen.length}`,
    met: seen.length > 0 && longest <= POLLED_MS,
  };
}
