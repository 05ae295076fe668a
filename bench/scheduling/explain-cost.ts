/**
 * What explanations cost at a given length of the queue: a survey by the leader (its front alone, and the whole line), how
 * long the longest slice of it holds up the event loop, how much it weighs on the wire, and one question for a place.
 */
import { performance } from 'node:perf_hooks';
import { randomFrom } from '../../chaos/scenario.ts';
import type { Inventory, Needs } from '../../src/domain/capabilities.ts';
import type { Survey } from '../../src/domain/survey.ts';
import { sameForAll } from '../../src/domain/tenant-limits.ts';
import { Places } from '../../src/graphql/places.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { RunEstimates } from '../../src/scheduler/forecast/run-estimates.ts';
import { Surveyor } from '../../src/scheduler/forecast/survey.ts';
import { EVEN_SHARES } from '../../src/scheduler/planning/fair-share.ts';
import { PendingQueue } from '../../src/scheduler/planning/pending-queue.ts';
import type { PendingJob } from '../../src/store/jobs.ts';
import { quantile } from '../statistics.ts';
import { newCandidate, pendingJob } from './policies/as-seen.ts';
import { chooser, zipf } from './random.ts';

const TENANTS = Array.from({ length: 100 }, (_, n) => `tenant-${n}`);
const MODELS = Array.from({ length: 50 }, (_, n) => `model-${n}.safetensors`);
const INVENTORIES = 20;
const ROUNDS = 20;
const QUESTIONS = 100_000;

export interface ExplainCost {
  readonly jobs: number;
  readonly instances: number;
  /** Of one look at the front, and of one walk over the whole line, p50 in ms. */
  readonly frontMs: number;
  readonly wholeMs: number;
  /** Longest time in which nothing else could run, p50 and worst of the rounds, ms. */
  readonly sliceP50Ms: number;
  readonly sliceMaxMs: number;
  readonly kilobytes: number;
  /** Of one question for the place of a job, in microseconds. */
  readonly placeMicros: number;
}

/** Measures and prints them at each size. */
export async function explainCosts(): Promise<ExplainCost[]> {
  console.log('\nExplanations: ms for a survey, the longest time it holds up others, KB, and us for a place');
  console.log('     jobs  instances   front   whole  slice p50  slice max      KB   place us');
  const costs: ExplainCost[] = [];
  for (const jobs of [1000, 10_000, 100_000]) {
    for (const instances of [100, 1000]) {
      const cost = await costAt(jobs, instances);
      costs.push(cost);
      const { frontMs, wholeMs, sliceP50Ms, sliceMaxMs, kilobytes, placeMicros } = cost;
      const cells = [jobs, instances, frontMs, wholeMs, sliceP50Ms, sliceMaxMs, kilobytes, placeMicros];
      console.log(cells.map((cell) => cell.toFixed(cell >= 100 ? 0 : 1).padStart(9)).join(' '));
    }
  }
  return costs;
}

async function costAt(jobs: number, instances: number): Promise<ExplainCost> {
  const now = Date.now();
  const random = randomFrom(jobs + instances);
  const { queue, all } = filled(jobs, now, random);
  const look = lookAt(instances, now, random);
  const frontTimes: number[] = [];
  const wholeTimes: number[] = [];
  const slices: number[] = [];
  let survey: Survey | null = null;
  for (let round = 0; round < ROUNDS; round++) {
    const surveyor = new Surveyor({
      ...{ bus: { publishSurvey: () => undefined }, queue, look },
      ...{ clock: systemClock, logger: createLogger('silent') },
    });
    const { signal } = new AbortController();
    const whole = await timed(() => surveyor.take(signal));
    const front = await timed(() => surveyor.take(signal));
    survey = whole.value;
    wholeTimes.push(whole.ms);
    frontTimes.push(front.ms);
    slices.push(whole.longestMs, front.longestMs);
  }
  return {
    ...{ jobs, instances },
    frontMs: quantile(frontTimes, 0.5),
    wholeMs: quantile(wholeTimes, 0.5),
    sliceP50Ms: quantile(slices, 0.5),
    sliceMaxMs: Math.max(...slices),
    kilobytes: JSON.stringify(survey).length / 1024,
    placeMicros: survey ? placeCost(survey, all, now) : Number.NaN,
  };
}

/** How long it takes, and the longest time between two turns of the event loop meanwhile. */
async function timed<T>(work: () => Promise<T>): Promise<{ value: T; ms: number; longestMs: number }> {
  let longestMs = 0;
  let going = true;
  const began = performance.now();
  let last = began;
  const tick = (): void => {
    const at = performance.now();
    longestMs = Math.max(longestMs, at - last);
    last = at;
    if (going) setImmediate(tick);
  };
  setImmediate(tick);
  const value = await work();
  const ms = performance.now() - began;
  going = false;
  tick();
  return { value, ms, longestMs };
}

function placeCost(survey: Survey, jobs: readonly PendingJob[], now: number): number {
  const places = new Places(survey);
  const began = performance.now();
  for (let n = 0; n < QUESTIONS; n++) {
    const job = jobs[(n * 7919) % jobs.length];
    if (job) places.of(job, now);
  }
  return ((performance.now() - began) / QUESTIONS) * 1000;
}

function filled(count: number, now: number, random: () => number) {
  const queue = new PendingQueue();
  const model = chooser(MODELS, (_, index) => zipf(index));
  const all = Array.from({ length: count }, (_, n) => {
    const tenant = TENANTS[Math.floor(random() ** 2 * TENANTS.length)] ?? '';
    const id = `${String(n).padStart(8, '0')}-0000-7000-8000-000000000000`;
    const priority = random() < 0.8 ? 5 : 8;
    const job = pendingJob({
      id,
      tenant,
      priority,
      model: model(random),
      workflow: 'w',
      at: now - count + n,
      workMs: 1,
    });
    queue.put(job, now);
    return job;
  });
  return { queue, all };
}

function lookAt(instances: number, now: number, random: () => number) {
  const needs = new Map<string, Needs>(
    MODELS.map((name) => [name, { nodeTypes: ['KSampler'], models: [name] }]),
  );
  const inventories = Array.from({ length: INVENTORIES }, (): Inventory => {
    const models = MODELS.filter(() => random() < 0.8).map((name) => ({ kind: 'checkpoints', name }));
    return { nodeTypes: ['KSampler'], models };
  });
  const estimates = new RunEstimates();
  const candidates = Array.from({ length: instances }, (_, n) => {
    const id = `gpu-${n}`;
    for (const key of needs.keys()) {
      estimates.observe({ workflow: key, needsKey: key }, id, 5000 + random() * 10_000, 'warm');
      estimates.observe({ workflow: key, needsKey: key }, id, 15_000 + random() * 10_000, 'cold');
    }
    return {
      ...newCandidate(id),
      ...{ inventory: inventories[n % INVENTORIES] ?? null, takenSlots: [0] },
      ...{ endsAt: [now + random() * 10_000], loadedModels: [MODELS[n % MODELS.length] ?? ''] },
    };
  });
  const rest = { shares: EVEN_SHARES, limitsOf: sameForAll, ageingMs: 300_000, maxConcurrentJobs: null };
  return () => ({ ...rest, candidates, needs, estimates, usualMs: 10_000, running: [] });
}
