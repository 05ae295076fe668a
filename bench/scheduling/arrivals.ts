/** Lists of jobs: what is asked for, by whom, and when it comes. */
import { randomFrom } from '../../chaos/scenario.ts';
import { chooser, exponential, lognormal, normalQuantile, zipf } from './random.ts';
import type { Job } from './world.ts';

export interface Demand {
  readonly seed: number;
  readonly jobs: number;
  /** The first is asked for most (Zipf). */
  readonly models: readonly string[];
  /** Draws when the next one comes after the one before, ms. */
  readonly gapMs: (random: () => number) => number;
  /** Tenants with their part of the jobs; one alone by default. */
  readonly tenants?: Readonly<Record<string, number>>;
  /** By workflow unless it says otherwise. */
  readonly times?: Times;
  /** Priorities with their part of the jobs; all 5 by default. */
  readonly priorities?: Readonly<Record<number, number>>;
}

/** How long jobs take: 5 s to 5 min, most of them short, as images beside a few videos. */
export interface Times {
  readonly meanMs: number;
  draw(random: () => number): Pick<Job, 'workflow' | 'workMs'>;
}

/** Lognormal(3, 0.8) seconds, whatever the job is: nobody can tell beforehand which one takes long. */
export const INDEPENDENT: Times = {
  meanMs: 27_660,
  draw: (random) => ({ workflow: 'any', workMs: withinLimits(1000 * lognormal(random, 3, 0.8)) }),
};

const WORKFLOWS = 16;
const BETWEEN = 0.76;
const WITHIN = 0.25;
const TYPICAL_MS = Array.from(
  { length: WORKFLOWS },
  (_, n) => 1000 * Math.exp(3 + BETWEEN * normalQuantile((n + 0.5) / WORKFLOWS)),
);

/** As those together, but workflows differ in how long they take, and the jobs of one only a little. */
export const BY_WORKFLOW: Times = {
  meanMs: 26_980,
  draw: (random) => {
    const workflow = Math.floor(random() * WORKFLOWS);
    const ms = (TYPICAL_MS[workflow] ?? 0) * lognormal(random, 0, WITHIN);
    return { workflow: `w${workflow}`, workMs: withinLimits(ms) };
  },
};

function withinLimits(ms: number): number {
  return Math.round(Math.min(300_000, Math.max(5000, ms)));
}

export function jobList({ seed, jobs, models, gapMs, tenants, times, priorities }: Demand): Job[] {
  const random = randomFrom(seed);
  const model = chooser(models, (_, index) => zipf(index));
  const tenant = chooser(Object.entries(tenants ?? { one: 1 }), ([, part]) => part);
  const priority = chooser(Object.entries(priorities ?? { 5: 1 }), ([, part]) => part);
  let at = 0;
  return Array.from({ length: jobs }, (_, number) => {
    at += gapMs(random);
    return {
      id: `j${String(number).padStart(6, '0')}`,
      tenant: tenant(random)[0],
      priority: Number(priority(random)[0]),
      model: model(random),
      ...(times ?? BY_WORKFLOW).draw(random),
      at: Math.round(at),
    };
  });
}

/** All at once. */
export const atOnce = (): number => 0;

/** One by one, independent of each other. */
export const poisson =
  (meanGapMs: number) =>
  (random: () => number): number =>
    exponential(random, meanGapMs);

/** As seldom on average, but mostly 20 in a row: somebody presses a button for a whole batch. */
export const bursts =
  (meanGapMs: number) =>
  (random: () => number): number =>
    random() < 1 / 20 ? exponential(random, meanGapMs * 20) : 0;
