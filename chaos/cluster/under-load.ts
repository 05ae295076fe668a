/**
 * A cluster under load while something disturbs it: clients submit to all replicas, cancel and watch; jobs are let in as the
 * disturbance goes on, so that there is work all the time; then everything is left alone until it is calm.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Load } from '../kills/load.ts';
import { Watcher } from '../watcher.ts';
import type { Cluster } from './cluster.ts';

export interface LoadSize {
  readonly jobs: number;
  readonly watchers: number;
  /** Jobs that wait or run at most. */
  readonly mostUnfinished: number;
  readonly longestSeconds: number;
}

/** What goes wrong, to its end. */
export interface Disturbance {
  run(scene: Scene): Promise<void>;
  /** How much of it is over, 0 to 1: as much of the load has been let in. */
  progress(): number;
}

export interface Scene {
  readonly cluster: Cluster;
  readonly load: Load;
  readonly random: () => number;
  readonly say: (line: string) => void;
  /** Rejects when the round is over. */
  readonly pause: (ms: number) => Promise<void>;
}

export interface Loaded {
  readonly load: Load;
  readonly watchers: readonly Watcher[];
  /** From the end of the disturbance until all had ended and every place was free; null when that did not come. */
  readonly calmAfterMs: number | null;
  readonly tookMs: number;
}

const CALM_WITHIN_MS = 60_000;
/** The rest of the load is not held back longer than that: a cluster that stands still must be found out. */
const OVERTIME_MS = 300_000;

export interface LoadSetting extends Pick<Scene, 'cluster' | 'random' | 'say'> {
  readonly size: LoadSize;
  readonly disturbance: Disturbance;
}

export async function underLoad({ cluster, size, disturbance, random, say }: LoadSetting): Promise<Loaded> {
  const startedAt = performance.now();
  const over = new AbortController();
  const urls = cluster.apis.map(({ url }) => url);
  const watchers = Array.from({ length: size.watchers }, (_, n) => {
    const first = n % urls.length;
    return new Watcher(`watcher ${n + 1}`, [...urls.slice(first), ...urls.slice(0, first)]);
  });
  const { jobs, longestSeconds } = size;
  const load = new Load({ urls, jobs, watchers, random, longestSeconds, ended: over.signal });
  const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal: over.signal });
  const scene: Scene = { cluster, load, random, say, pause };
  try {
    await together(over, [disturbing(scene, size, disturbance), load.run()]);
    const calmAfterMs = await calm(cluster, load, watchers);
    say(calmAfterMs === null ? 'it did not become calm' : `calm after ${Math.round(calmAfterMs)} ms`);
    return { load, watchers, calmAfterMs, tookMs: performance.now() - startedAt };
  } finally {
    over.abort();
    await Promise.all(watchers.map((watcher) => watcher.leave()));
  }
}

async function disturbing(scene: Scene, size: LoadSize, disturbance: Disturbance): Promise<void> {
  const { load, cluster, pause } = scene;
  let over = false;
  let giveUpAt = Number.POSITIVE_INFINITY;
  const doors = async (): Promise<void> => {
    // to the end of the load: what is left then goes through as evenly, so that calm is not the work of a backlog
    for (let letIn = 0; !over || letIn < size.jobs; await pause(20)) {
      const share = over ? 1 : Math.min(1, disturbance.progress() + 0.02);
      const room = load.acknowledged.length - (await cluster.rows.unfinished()) + size.mostUnfinished;
      const late = performance.now() > giveUpAt;
      letIn = late ? size.jobs : Math.min(Math.ceil(size.jobs * share), room);
      load.letIn(letIn);
    }
  };
  const run = disturbance.run(scene).finally(() => {
    over = true;
    giveUpAt = performance.now() + OVERTIME_MS;
  });
  await Promise.all([run, doors()]);
}

/** When one fails the others end too, before the failure is thrown. */
async function together(over: AbortController, works: readonly Promise<void>[]): Promise<void> {
  const watched = works.map((work) =>
    work.catch((error: unknown) => {
      over.abort();
      throw error;
    }),
  );
  const results = await Promise.allSettled(watched);
  const failed = results.find((result) => result.status === 'rejected' && !isAbort(result.reason));
  const any = failed ?? results.find((result) => result.status === 'rejected');
  if (any?.status === 'rejected') throw any.reason;
}

function isAbort(reason: unknown): boolean {
  return reason instanceof Error && reason.name === 'AbortError';
}

async function calm({ rows }: Cluster, load: Load, watchers: readonly Watcher[]): Promise<number | null> {
  const startedAt = performance.now();
  await load.settled();
  while (performance.now() - startedAt < CALM_WITHIN_MS) {
    const busy = (await rows.unfinished()) + (await rows.open()).length;
    if (busy === 0 && watchers.every(({ waiting }) => waiting === 0)) return performance.now() - startedAt;
    await sleep(50);
  }
  return null;
}
