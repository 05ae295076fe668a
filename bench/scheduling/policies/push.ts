/**
 * Policies that give a job to an instance when it arrives, as balancers of web servers do: it stands in the line of that
 * instance from then on. They differ in how the instance is chosen. In their favour they know the truth of what stands in
 * each line, at once and for nothing.
 */
import { randomFrom } from '../../../chaos/scenario.ts';
import type { Job, Policy, Scenario, Start, World } from '../world.ts';

/** What is compared: jobs in the line, their time, or the time until this job would be done, with the loads it takes. */
export type Measure = 'jobs' | 'time' | 'end';
export const MEASURES: readonly Measure[] = ['jobs', 'time', 'end'];

type Choose = (job: Job, lines: readonly Line[], now: number) => Line | undefined;

export function roundRobin(): Policy {
  let next = 0;
  return push((_, lines) => lines[next++ % lines.length]);
}

export function leastLoaded(measure: Measure): Policy {
  return push((job, lines, now) => lightest(lines, job, measure, now));
}

/** The less loaded of some drawn at random. */
export function randomChoices(measure: Measure, choices: number): Policy {
  const random = randomFrom(choices);
  return push((job, lines, now) => {
    const drawn = Array.from({ length: choices }, () => lines[Math.floor(random() * lines.length)] as Line);
    return lightest(drawn, job, measure, now);
  });
}

function push(choose: Choose): Policy {
  let lines: Line[] = [];
  const touched = new Set<Line>();
  return {
    came(job, { now, scenario }) {
      if (lines.length === 0) lines = scenario.machines.map((_, index) => new Line(scenario, index));
      const line = choose(job, lines, now) as Line;
      line.add(job, now);
      touched.add(line);
    },
    ended({ machine }) {
      const line = lines[machine] as Line;
      line.ended();
      touched.add(line);
    },
    starts(world) {
      const starts = [...touched].flatMap((line) => line.start(world));
      touched.clear();
      return starts;
    },
  };
}

function lightest(lines: readonly Line[], job: Job, measure: Measure, now: number): Line | undefined {
  let best: Line | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const line of lines) {
    const weight = line.weight(job, measure, now);
    if (weight >= least) continue;
    best = line;
    least = weight;
  }
  return best;
}

class Line {
  readonly #scenario: Scenario;
  readonly #index: number;
  readonly #jobs: Job[] = [];
  /** Those that wait and the one that runs. */
  #count = 0;
  #freeAt = 0;
  /** What will be in memory when all of the line has run. */
  readonly #memory: string[] = [];

  constructor(scenario: Scenario, index: number) {
    this.#scenario = scenario;
    this.#index = index;
  }

  weight(job: Job, measure: Measure, now: number): number {
    if (measure === 'jobs') return this.#count;
    const backlog = Math.max(0, this.#freeAt - now);
    return measure === 'time' ? backlog : backlog + this.#ownMs(job);
  }

  add(job: Job, now: number): void {
    this.#freeAt = Math.max(this.#freeAt, now) + this.#ownMs(job);
    const at = this.#memory.indexOf(job.model);
    if (at >= 0) this.#memory.splice(at, 1);
    this.#memory.push(job.model);
    if (this.#memory.length > this.#machine.resident) this.#memory.shift();
    this.#jobs.push(job);
    this.#count++;
  }

  ended(): void {
    this.#count--;
  }

  start({ machines }: World): Start[] {
    if (machines[this.#index]?.doing) return [];
    const job = this.#jobs.shift();
    return job ? [{ machine: this.#index, job }] : [];
  }

  get #machine() {
    return this.#scenario.machines[this.#index] as Scenario['machines'][number];
  }

  #ownMs({ model, workMs }: Job): number {
    const loadMs = this.#memory.includes(model) ? 0 : (this.#scenario.loadMs.get(model) ?? 0);
    return loadMs + workMs / this.#machine.speed;
  }
}
