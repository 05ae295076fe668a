/**
 * A round of kills: clients submit, cancel and watch, while the gateway and its instances are killed again and again;
 * then everything is left alone until it is calm. What was seen is handed on to be judged.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { GatewayProgram, Ground, SimulatorProgram } from '../processes.ts';
import { Rows } from '../rows.ts';
import { Watcher } from '../watcher.ts';
import { type GatewayKill, GatewayKiller } from './gateway-killer.ts';
import { type InstanceKill, InstanceKiller } from './instance-killer.ts';
import { Load } from './load.ts';

export interface RoundSize {
  readonly jobs: number;
  readonly instances: number;
  readonly gatewayKills: number;
  readonly instanceKills: number;
  readonly watchers: number;
  /** Longest pause between the moment the gateway serves and the next kill. */
  readonly longestPauseMs: number;
  /** No more kills after that, on a machine that is too slow for all of them. */
  readonly longestMs: number;
}

export interface Round {
  readonly size: RoundSize;
  readonly dataDir: string;
  readonly load: Load;
  readonly watchers: readonly Watcher[];
  /** Jobs that were acknowledged before the last kill of the gateway. */
  readonly beforeLastKill: number;
  readonly gatewayKills: readonly GatewayKill[];
  readonly instanceKills: readonly InstanceKill[];
  readonly instances: readonly SimulatorProgram[];
  /** From the last kill until every job had ended and every place was free; null when that did not come. */
  readonly calmAfterMs: number | null;
  readonly tookMs: number;
}

/** With kills every few seconds each instance goes down so often that neither a job nor an instance can be blamed. */
const SETTING = {
  JOB_MAX_CRASHES: '1000',
  BREAKER_THRESHOLD: '1000',
  RETRY_BUDGET_PERCENT: '100',
  GRAPHIQL: 'false',
};
/** On a machine that is too slow for all kills the rest of the jobs comes after them, not all at once before. */
const MOST_UNFINISHED = 80;
const CALM_WITHIN_MS = 60_000;
/** Bytes a second of the files of every second instance: results take their time. */
const SLOW_BODIES = 120_000;

export interface RoundSetting {
  readonly ground: Ground;
  readonly size: RoundSize;
  readonly random: () => number;
  readonly say: (line: string) => void;
}

export async function killRound({ ground, size, random, say }: RoundSetting): Promise<Round> {
  const startedAt = performance.now();
  const instances = await startInstances(ground, size.instances);
  const gateway = await ground.gateway(instances, SETTING);
  await gateway.start();
  const rows = new Rows(gateway.dataDir);
  const over = new AbortController();
  const watchers = Array.from(
    { length: size.watchers },
    (_, n) => new Watcher(`watcher ${n + 1}`, [gateway.url]),
  );
  const load = new Load({ urls: [gateway.url], jobs: size.jobs, watchers, random, ended: over.signal });
  try {
    const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal: over.signal });
    const kills = await killAll(over, {
      deadline: startedAt + size.longestMs,
      pause,
      gateway,
      instances,
      rows,
      load,
      size,
      random,
      say,
    });
    const calmAfterMs = await calm(load, rows, watchers);
    say(
      calmAfterMs === null
        ? 'it did not become calm'
        : `calm ${Math.round(calmAfterMs)} ms after the last kill`,
    );
    await Promise.all(watchers.map((watcher) => watcher.leave()));
    await gateway.end('SIGTERM');
    const tookMs = performance.now() - startedAt;
    const { dataDir } = gateway;
    return { size, dataDir, load, watchers, ...kills, instances, calmAfterMs, tookMs };
  } finally {
    over.abort();
    rows.close();
    await Promise.all(watchers.map((watcher) => watcher.leave()));
  }
}

async function startInstances(ground: Ground, count: number): Promise<SimulatorProgram[]> {
  const instances = await Promise.all(
    Array.from({ length: count }, (_, n) => ground.simulator(`gpu${n + 1}`, { stepMs: 0 })),
  );
  await Promise.all(instances.map((instance) => instance.start()));
  for (const [n, instance] of instances.entries()) {
    if (n % 2 === 1) await instance.setFaults({ slowBodies: SLOW_BODIES });
  }
  return instances;
}

export interface Scene extends Omit<RoundSetting, 'ground'> {
  /** When the last kill may come, on performance's clock. */
  readonly deadline: number;
  /** Rejects when the round is over. */
  readonly pause: (ms: number) => Promise<void>;
  readonly gateway: GatewayProgram;
  readonly instances: readonly SimulatorProgram[];
  readonly rows: Rows;
  readonly load: Load;
}

/** Load and both killers side by side; jobs are let in as the kills go on, so that there is work at each of them. */
async function killAll(
  over: AbortController,
  scene: Scene,
): Promise<Pick<Round, 'gatewayKills' | 'instanceKills' | 'beforeLastKill'>> {
  const { size, load, rows, pause } = scene;
  const gatewayKiller = new GatewayKiller(scene);
  const instanceKiller = new InstanceKiller(scene, () => gatewayKiller.kills.length / size.gatewayKills);
  let beforeLastKill = 0;
  const doors = async (): Promise<void> => {
    while (!gatewayKiller.done) {
      const share = Math.ceil((size.jobs * (gatewayKiller.kills.length + 1)) / size.gatewayKills);
      load.letIn(Math.min(share, load.acknowledged.length - rows.unfinished() + MOST_UNFINISHED));
      await pause(20);
    }
    beforeLastKill = load.acknowledged.length;
    load.letIn(size.jobs);
  };
  await together(over, [gatewayKiller.run(), instanceKiller.run(), doors(), load.run()]);
  return { gatewayKills: gatewayKiller.kills, instanceKills: instanceKiller.kills, beforeLastKill };
}

/** When one fails the others end too, before the failure is thrown. */
async function together(over: AbortController, works: readonly Promise<void>[]): Promise<void> {
  let failure: { readonly error: unknown } | undefined;
  const watched = works.map((work) =>
    work.catch((error: unknown) => {
      failure ??= { error };
      over.abort();
    }),
  );
  await Promise.all(watched);
  if (failure) throw failure.error;
}

async function calm(load: Load, rows: Rows, watchers: readonly Watcher[]): Promise<number | null> {
  const startedAt = performance.now();
  await load.settled();
  while (performance.now() - startedAt < CALM_WITHIN_MS) {
    const busy = rows.unfinished() + rows.open().length;
    if (busy === 0 && watchers.every(({ waiting }) => waiting === 0)) return performance.now() - startedAt;
    await sleep(50);
  }
  return null;
}
