/**
 * One tenant with a long queue, and small tenants that come with a few jobs each: alone first, then beside it. After that a
 * second tenant has a long queue too, and their weights are changed in the file twice, while both have jobs waiting.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Graph } from '../../src/domain/graph.ts';
import { TestClient } from '../../test/support/graphql-client.ts';
import { checkHistory } from '../../test/support/history-checker.ts';
import { type Cluster, withClusterOn } from '../cluster/cluster.ts';
import type { Env } from '../environment.ts';
import { type Aftermath, ms, untilIdle } from '../load.ts';
import { percentile } from '../percentile.ts';
import { withGround } from '../processes.ts';
import { type TenantQueue, withTenantQueue } from '../tenant-queue.ts';
import { type Start, shareOf, startsUntil } from './starts.ts';

export interface FairnessSize {
  readonly instances: number;
  readonly bigJobs: number;
  readonly smallTenants: number;
  readonly smallJobs: number;
  /** So often the small tenants come, alone and beside the big one. */
  readonly times: number;
  readonly jobSeconds: number;
  /** Of the second long queue. */
  readonly rivalJobs: number;
  /** Jobs of both that are counted under each pair of weights; 0: there is no second long queue. */
  readonly counted: number;
  /** The backlog is left to age so long before the small tenants come once more; null: they do not. */
  readonly ageMs: number | null;
}

/** What the small tenants met when they came. */
export interface Visit {
  readonly waits: readonly number[];
  /** Jobs of the big tenant that began from their submission until their last one did. */
  readonly bigBetween: number;
}

export interface Weighing {
  readonly weights: Weights;
  /** Of the big tenant, by its weight and as it was. */
  readonly wanted: number;
  readonly share: number;
  readonly starts: readonly Start[];
}

export interface FairnessRound {
  readonly alone: readonly Visit[];
  readonly beside: readonly Visit[];
  /** Beside a big tenant whose jobs have waited for longer than an ageing time. */
  readonly besideAged: Visit | null;
  readonly weighings: readonly Weighing[];
  readonly acknowledged: readonly string[];
  readonly after: Pick<Aftermath, 'jobs' | 'attempts' | 'violations'>;
}

interface Weights {
  readonly big: number;
  readonly rival: number;
}

export interface FairnessSetting {
  readonly size: FairnessSize;
  readonly say: (line: string) => void;
  readonly env?: Env;
}

interface Scene extends FairnessSetting {
  readonly cluster: Cluster;
  readonly queue: TenantQueue;
  readonly limitsFile: string;
}

const WEIGHTS: readonly Weights[] = [
  { big: 1, rival: 3 },
  { big: 3, rival: 1 },
];

export function fairnessRound({ size, say, env }: FairnessSetting): Promise<FairnessRound> {
  return withGround(async (ground) => {
    const limitsFile = join(ground.folder, 'limits.json');
    await writeFile(limitsFile, '{}');
    const { instances } = size;
    const setting = { apis: 1, schedulers: 1, instances, env: { ...env, TENANT_LIMITS_FILE: limitsFile } };
    return withClusterOn(ground, setting, (cluster) =>
      withTenantQueue(cluster, (queue) => rounds({ size, say, cluster, queue, limitsFile })),
    );
  });
}

async function rounds(scene: Scene): Promise<FairnessRound> {
  const { size, say, cluster, queue } = scene;
  const client = new TestClient(cluster.apis[0]?.url ?? '');
  const idle = (): Promise<void> => untilIdle(client, { withinMs: 1_200_000, say });
  const alone: Visit[] = [];
  await visit(scene);
  for (let n = 0; n < size.times; n++) {
    await idle();
    alone.push(await visit(scene));
  }
  await idle();
  await queue.submit(Array<string>(size.bigJobs).fill('big'), graphOf(scene));
  say(`${size.bigJobs} jobs of one tenant wait`);
  const beside: Visit[] = [];
  for (let n = 0; n < size.times; n++) beside.push(await visit(scene));
  const besideAged = size.ageMs === null ? null : await sleep(size.ageMs).then(() => visit(scene));
  const weighings = size.counted === 0 ? [] : await weighed(scene);
  await idle();
  await client.close();
  await cluster.ground.endAll();
  return { alone, beside, besideAged, weighings, acknowledged: queue.acknowledged, after: await read(scene) };
}

function graphOf({ size: { jobSeconds: seconds } }: Scene): (salt: number) => Graph {
  return (salt) => ({
    '1': { class_type: 'RigSleep', inputs: { seconds, steps: 1, preview: 'none', salt } },
    '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'slept' } },
  });
}

/** The small tenants come together, each with its jobs. */
async function visit(scene: Scene): Promise<Visit> {
  const { size, cluster, queue } = scene;
  const from = Date.now();
  const tenants = Array.from(
    { length: size.smallTenants * size.smallJobs },
    (_, n) => `small${n % size.smallTenants}`,
  );
  const ids = new Set(await queue.submit(tenants, graphOf(scene)));
  const starts = await startsUntil(
    cluster,
    from,
    (all) => all.filter(({ id }) => ids.has(id)).length === ids.size,
  );
  const last = starts.findLastIndex(({ id }) => ids.has(id));
  const waits = starts.flatMap(({ id, created_at, started_at }) =>
    ids.has(id) ? [started_at - created_at] : [],
  );
  const bigBetween = starts.slice(0, last).filter(({ tenant }) => tenant === 'big').length;
  scene.say(
    `small tenants waited ${ms(percentile(waits, 0.95))} (p95) while ${bigBetween} of the big one began`,
  );
  return { waits, bigBetween };
}

/** Long enough for a file that is read every two seconds, and for what was begun before. */
const NOTICED_MS = 4000;

async function weighed(scene: Scene): Promise<Weighing[]> {
  const { size, say, cluster, queue, limitsFile } = scene;
  await queue.submit(Array<string>(size.rivalJobs).fill('rival'), graphOf(scene));
  const weighings: Weighing[] = [];
  for (const weights of WEIGHTS) {
    const tenants = { big: { weight: weights.big }, rival: { weight: weights.rival } };
    await writeFile(limitsFile, JSON.stringify({ tenants }));
    await sleep(NOTICED_MS);
    const since = Date.now();
    const starts = (await startsUntil(cluster, since, (all) => all.length >= size.counted)).slice(
      0,
      size.counted,
    );
    const wanted = weights.big / (weights.big + weights.rival);
    weighings.push({ weights, wanted, share: shareOf('big', starts), starts });
    say(
      `weights ${weights.big} to ${weights.rival}: the big tenant has ${shareOf('big', starts).toFixed(3)} of ${starts.length} starts`,
    );
  }
  const left = await cluster.rows.all<{ tenant: string; n: number }>(
    "select tenant, count(*) as n from jobs where status = 'PENDING' group by tenant",
  );
  if (left.length < 2) throw new Error('a queue ran out before its share was counted');
  return weighings;
}

function read({ cluster, queue }: Scene): Promise<FairnessRound['after']> {
  const instances = cluster.instances.map((instance) => instance.evidence());
  return cluster.withStore(async (db) => ({
    jobs: await db.selectFrom('jobs').selectAll().execute(),
    attempts: await db.selectFrom('attempts').selectAll().execute(),
    violations: await checkHistory(db, { instances, acknowledged: queue.acknowledged }),
  }));
}
