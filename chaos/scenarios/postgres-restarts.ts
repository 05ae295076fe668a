/**
 * Postgres is killed or crashes every 5 to 20 s and stays away for up to 5 s, for two minutes (CHAOS_SECONDS) under load: what
 * was acknowledged is there, nothing is doubled, and everything ends within a minute of calm. (F31, R4)
 */
import { withCluster } from '../cluster/cluster.ts';
import { commonFindings, judgeCluster, linesOf } from '../cluster/judge-cluster.ts';
import { TimeTable } from '../cluster/time-table.ts';
import { type Scene, underLoad } from '../cluster/under-load.ts';
import { type Finding, randomFrom, type Scenario } from '../scenario.ts';

const SECONDS = Number(process.env.CHAOS_SECONDS ?? 120);
const JOBS = Number(process.env.CHAOS_JOBS ?? 300);
const EVERY_MS = { least: 5000, most: 20_000 };
const AWAY_MS = 5000;

export const postgresRestarts: Scenario = ({ seed, say }) =>
  withCluster({ apis: 2, schedulers: 2, instances: 4 }, async (cluster): Promise<Finding[]> => {
    let times = 0;
    const disturbance = new TimeTable(SECONDS * 1000, async (scene, left) => {
      while (left() > 0) {
        await scene.pause(EVERY_MS.least + scene.random() * (EVERY_MS.most - EVERY_MS.least));
        await crash(scene);
        times += 1;
      }
    });
    const size = { jobs: JOBS, watchers: 4, mostUnfinished: 40, longestSeconds: 1 };
    const loaded = await underLoad({ cluster, size, disturbance, random: randomFrom(seed), say });
    await cluster.ground.endAll();
    const judged = await judgeCluster(cluster, loaded);
    for (const line of linesOf(judged, loaded)) say(line);
    return [
      {
        row: 'R4',
        what: `Postgres killed or crashed ${times} times: jobs that were acknowledged and are not there`,
        target: '0',
        measured: `${judged.lost} of ${loaded.load.acknowledged.length}`,
        met: judged.lost === 0 && times > 0,
      },
      ...commonFindings('F31', judged, loaded),
    ];
  });

async function crash({ cluster: { postgres }, random, pause, say }: Scene): Promise<void> {
  const isKill = random() < 0.5;
  const awayMs = random() * AWAY_MS;
  if (isKill) await postgres.kill();
  else await postgres.stop('immediate');
  await pause(awayMs);
  await postgres.start();
  say(`Postgres ${isKill ? 'was killed' : 'crashed'}, away for ${Math.round(awayMs)} ms`);
}
