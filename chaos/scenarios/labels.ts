/** The gateway dies at every crash label, once for each of 20 seeds in another order; each time the next start mends it. */
import { CRASH_POINTS, type CrashPoint } from '../../src/domain/crash-points.ts';
import { crashAndCheck } from '../../test/support/crash-drills.ts';
import { CrashScene } from '../../test/support/crash-scene.ts';
import { type Finding, randomFrom, type Scenario } from '../scenario.ts';

const SEEDS = 20;
/** Lines of lives at the same time. */
const AT_ONCE = 2;
const LONGEST_MS = 600_000;
/** Its pieces of a file are the only ones of a label to come one after the other. */
const MOST_PIECES = 8;

interface Tally {
  readonly hits: Map<CrashPoint, number>;
  readonly failures: string[];
  /** Histories that were judged whole. */
  judged: number;
}

export const labels: Scenario = async ({ seed, say }) => {
  const tally: Tally = { hits: new Map(), failures: [], judged: 0 };
  const deadline = performance.now() + LONGEST_MS;
  const seeds = Array.from({ length: SEEDS }, (_, n) => seed + n);
  const line = async (): Promise<void> => {
    for (let next = seeds.shift(); next !== undefined; next = seeds.shift()) {
      if (performance.now() > deadline) return;
      await dieEverywhere(next, tally, deadline);
      say(`seed ${next}: ${[...tally.hits.values()].reduce((a, b) => a + b, 0)} crashes so far`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, line));
  for (const point of CRASH_POINTS) say(`${point.padEnd(30)} ${tally.hits.get(point) ?? 0}`);
  for (const failure of tally.failures) say(`! ${failure}`);
  return findingsOf(tally);
};

/** All labels in an order of the seed's. A line of lives that went wrong is left, and another one begun. */
async function dieEverywhere(seed: number, tally: Tally, deadline: number): Promise<void> {
  const random = randomFrom(seed);
  const rest = shuffled(CRASH_POINTS, random);
  while (rest.length > 0 && performance.now() < deadline) {
    const scene = await CrashScene.open(`seed ${seed}`);
    try {
      await dieAt(scene, rest, random, { seed, tally, deadline });
    } finally {
      await scene.close();
    }
  }
}

interface Drilling {
  readonly seed: number;
  readonly tally: Tally;
  readonly deadline: number;
}

async function dieAt(
  scene: CrashScene,
  rest: CrashPoint[],
  random: () => number,
  { seed, tally, deadline }: Drilling,
): Promise<void> {
  for (let point = rest.shift(); point !== undefined; point = rest.shift()) {
    const nth = point === 'output:receiving' ? 1 + Math.floor(random() * MOST_PIECES) : 1;
    try {
      await crashAndCheck(scene, `${point}:${nth}`);
    } catch (error) {
      tally.failures.push(`seed ${seed}, ${point}:${nth}: ${String(error)}`);
      return;
    }
    tally.hits.set(point, (tally.hits.get(point) ?? 0) + 1);
    if (performance.now() > deadline) break;
  }
  try {
    await scene.judge();
    tally.judged += 1;
  } catch (error) {
    tally.failures.push(`seed ${seed}, its history: ${String(error)}`);
  }
}

function findingsOf({ hits, failures, judged }: Tally): Finding[] {
  const fewest = Math.min(...CRASH_POINTS.map((point) => hits.get(point) ?? 0));
  return [
    {
      row: 'R2',
      what: `SIGKILL at each of ${CRASH_POINTS.length} crash labels, and the promise it breaks if any`,
      target: `every label hit and mended, ${SEEDS} seeds each`,
      measured: `every label at least ${fewest} times, ${failures.length} not mended`,
      met: fewest >= SEEDS && failures.length === 0,
    },
    {
      row: 'R2',
      what: 'invariants I1-I8 over each line of lives',
      target: `${SEEDS} histories whole`,
      measured: `${judged} whole`,
      met: judged >= SEEDS,
    },
  ];
}

function shuffled<T>(values: readonly T[], random: () => number): T[] {
  const left = [...values];
  const order: T[] = [];
  while (left.length > 0) order.push(...left.splice(Math.floor(random() * left.length), 1));
  return order;
}
