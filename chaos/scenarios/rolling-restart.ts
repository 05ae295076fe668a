/**
 * Every process of a cluster is stopped in order and started again, one after the other, 20 times over (CHAOS_ROUNDS) under
 * load: no job fails or runs again, and watchers hardly notice. (R6)
 */
import { withCluster } from '../cluster/cluster.ts';
import { commonFindings, judgeCluster, linesOf } from '../cluster/judge-cluster.ts';
import type { Disturbance, Scene } from '../cluster/under-load.ts';
import { underLoad } from '../cluster/under-load.ts';
import { ms } from '../load.ts';
import { percentile } from '../percentile.ts';
import { type Finding, randomFrom, type Scenario } from '../scenario.ts';

const ROUNDS = Number(process.env.CHAOS_ROUNDS ?? 20);
const JOBS = Number(process.env.CHAOS_JOBS ?? 500);
const LONGEST_PAUSE_MS = 1000;

class Deploys implements Disturbance {
  #restarts = 0;
  #all = Number.POSITIVE_INFINITY;
  /** How long each took to end, in ms. */
  readonly stops: number[] = [];
  /** Exit codes other than 0. */
  readonly unclean: string[] = [];

  progress(): number {
    return this.#restarts / this.#all;
  }

  async run({ cluster, pause, random, say }: Scene): Promise<void> {
    const programs = [...cluster.apis, ...cluster.schedulers];
    this.#all = ROUNDS * programs.length;
    for (let round = 1; round <= ROUNDS; round += 1) {
      for (const program of programs) {
        const at = performance.now();
        const exit = await program.end('SIGTERM');
        const stopMs = performance.now() - at;
        this.stops.push(stopMs);
        if (exit !== 0) this.unclean.push(`${program.name} ${exit}`);
        await program.start();
        say(`${program.name} stopped in ${ms(stopMs)}, back after ${ms(performance.now() - at)}`);
        this.#restarts += 1;
        await pause(random() * LONGEST_PAUSE_MS);
      }
      say(`${round} of ${ROUNDS} deploys`);
    }
  }
}

export const rollingRestart: Scenario = ({ seed, say }) =>
  withCluster({ apis: 2, schedulers: 2, instances: 4 }, async (cluster): Promise<Finding[]> => {
    const disturbance = new Deploys();
    const size = { jobs: JOBS, watchers: 6, mostUnfinished: 40, longestSeconds: 1.2 };
    const loaded = await underLoad({ cluster, size, disturbance, random: randomFrom(seed), say });
    await cluster.ground.endAll();
    const judged = await judgeCluster(cluster, loaded);
    for (const line of linesOf(judged, loaded)) say(line);
    const late = loaded.watchers.flatMap(({ deliveries }) => deliveries.map(({ lateMs }) => lateMs));
    const { unclean, stops } = disturbance;
    say(`time to stop: p50 ${ms(percentile(stops, 0.5))}, longest ${ms(Math.max(...stops))}`);
    return [
      ...commonFindings('R6', judged, loaded),
      {
        row: 'R6',
        what: 'from an event until its watcher had it, over all deploys',
        target: 'p99 below 2 s',
        measured: `p50 ${ms(percentile(late, 0.5))}, p99 ${ms(percentile(late, 0.99))}, longest ${ms(Math.max(...late))} of ${late.length}`,
        met: percentile(late, 0.99) < 2000,
      },
      {
        row: 'R6',
        what: 'processes that did not end in order',
        target: '0',
        measured: `${unclean.length}${unclean[0] ? `: ${unclean.join(', ')}` : ''}`,
        met: unclean.length === 0,
      },
    ];
  });
