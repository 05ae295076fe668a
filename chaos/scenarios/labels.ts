/** The gateway dies at every crash label, once for each of 20 seeds (CHAOS_SEEDS) in another order; each time the next start mends it. */
import { inspect } from 'node:util';
import { CRASH_POINTS, type CrashPoint } from '../../src/domain/crash-points.ts';
import { present } from '../../src/lib/assert.ts';
import { crashAndCheck } from '../../test/support/crash-drills.ts';
import { CrashScene } from '../../test/support/crash-scene.ts';
import { type Ground, withGround } from '../processes.ts';
import { type Finding, randomFrom, type Scenario, type ScenarioSetting } from '../scenario.ts';

const SEEDS = Number(process.env.CHAOS_SEEDS ?? 20);
/** Lines of lives at the same time. */
const AT_ONCE = 2;
/** Begins no more lives after that. Each crash costs two starts of a gateway: some 20 minutes on two quiet cores. */
const LONGEST_MS = 2_400_000;
/** Its pieces of a file are the only ones of a label to come one after the other. */
const MOST_PIECES = 8;

interface Tally {
  readonly hits: Map<CrashPoint, number>;
  readonly failures: string[];
  /** Histories that were judged whole. */
  judged: number;
  /** Lines of lives begun. */
  lines: number;
}

export const labels: Scenario = (setting) =>
  withGround((ground) => crashEverywhere({ ...setting, ground, seeds: SEEDS, longestMs: LONGEST_MS }));

interface Extent extends ScenarioSetting {
  readonly ground: Ground;
  readonly seeds: number;
  readonly longestMs: number;
}

export async function crashEverywhere({ ground, seed, say, seeds, longestMs }: Extent): Promise<Finding[]> {
  const tally: Tally = { hits: new Map(), failures: [], judged: 0, lines: 0 };
  const deadline = performance.now() + longestMs;
  const left = Array.from({ length: seeds }, (_, n) => seed + n);
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      await dieEverywhere({ ground, seed: next, tally, deadline });
      say(`seed ${next}: ${[...tally.hits.values()].reduce((a, b) => a + b, 0)} crashes so far`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  for (const point of CRASH_POINTS) say(`${point.padEnd(30)} ${tally.hits.get(point) ?? 0}`);
  for (const failure of tally.failures) say(`! ${failure}`);
  return findingsOf(tally, seeds);
}

interface Drilling {
  readonly ground: Ground;
  readonly seed: number;
  readonly tally: Tally;
  readonly deadline: number;
}

/** All labels in an order of the seed's. A line of lives that went wrong is left, and another one begun. */
async function dieEverywhere(drilling: Drilling): Promise<void> {
  const { ground, seed, tally, deadline } = drilling;
  const random = randomFrom(seed);
  const rest = shuffled(CRASH_POINTS, random);
  while (rest.length > 0 && performance.now() < deadline) {
    tally.lines += 1;
    const scene = await CrashScene.open(ground, `line-${tally.lines}`);
    try {
      await dieAt(scene, rest, random, drilling);
    } finally {
      await scene.close();
    }
  }
}

async function dieAt(
  scene: CrashScene,
  rest: CrashPoint[],
  random: () => number,
  { seed, tally, deadline }: Drilling,
): Promise<void> {
  while (rest.length > 0 && performance.now() < deadline) {
    const point = present(rest.shift(), 'a label');
    const crashAt =
      point === 'output:receiving' ? `${point}:${1 + Math.floor(random() * MOST_PIECES)}` : point;
    try {
      await crashAndCheck(scene, crashAt);
    } catch (error) {
      tally.failures.push(`seed ${seed}, ${crashAt}: ${shortened(error)}`);
      return;
    }
    tally.hits.set(point, (tally.hits.get(point) ?? 0) + 1);
  }
  try {
    await scene.judge();
    tally.judged += 1;
  } catch (error) {
    tally.failures.push(`seed ${seed}, its history: ${shortened(error)}`);
  }
}

function findingsOf({ hits, failures, judged, lines }: Tally, seeds: number): Finding[] {
  const fewest = Math.min(...CRASH_POINTS.map((point) => hits.get(point) ?? 0));
  return [
    {
      row: 'R2',
      what: `SIGKILL at each of ${CRASH_POINTS.length} crash labels, and the promise it breaks if any`,
      target: `every label hit and mended, ${seeds} seeds each`,
      measured: `every label at least ${fewest} times, ${failures.length} not mended`,
      met: fewest >= seeds && failures.length === 0,
    },
    {
      row: 'R2',
      what: 'invariants I1-I8 over each line of lives',
      target: `all ${lines} whole`,
      measured: String(judged),
      met: judged === lines,
    },
  ];
}

/** Without the log that may come with it. */
function shortened(error: unknown): string {
  return (error instanceof Error ? String(error) : inspect(error)).slice(0, 500);
}

function shuffled<T>(values: readonly T[], random: () => number): T[] {
  const left = [...values];
  const order: T[] = [];
  while (left.length > 0) order.push(...left.splice(Math.floor(random() * left.length), 1));
  return order;
}
