/**
 * Busy places of instances that have the right models in memory and are expected to be free soon: a job waits for such a
 * one when loading its models elsewhere costs more. What a job waits for stays its own while one plan is made, so that no
 * place is looked at again for every job that goes.
 */
import type { Needs } from '../../domain/capabilities.ts';
import { type Candidate, isAble, takesPart } from './candidate.ts';
import type { Turn } from './pending-queue.ts';
import type { PlanState } from './plan-state.ts';

interface SoonFree {
  readonly candidate: Candidate;
  /** Epoch ms. */
  readonly endsAt: number;
}

/** Places that a class may wait for, soonest first; `next` of them need not be looked at any more. */
interface Line {
  readonly places: readonly SoonFree[];
  next: number;
}

/** Waiting for so many times the load is worth it: the load holds up those behind the job too. Measured: less saves less. */
const LOADS_WORTH = 2;

export class SoonWarm {
  readonly #state: PlanState;
  readonly #needsOf: (needsKey: string) => Needs;
  readonly #now: number;
  /** By model, soonest first. */
  readonly #places = new Map<string, SoonFree[]>();
  /** By class of needs. */
  readonly #lines = new Map<string, Line>();
  /** Ids of jobs that wait. */
  readonly #waiting = new Set<string>();
  readonly #claimed = new Set<SoonFree>();

  /** `now` in epoch ms. */
  constructor(state: PlanState, needsOf: (needsKey: string) => Needs, now: number) {
    this.#state = state;
    this.#needsOf = needsOf;
    this.#now = now;
    for (const candidate of state.candidates) if (isForeseen(candidate)) this.#add(candidate);
    for (const places of this.#places.values()) places.sort((a, b) => a.endsAt - b.endsAt);
  }

  /** The job had better wait for a place, which is its own from now on. */
  isWorthWaiting({ job, lane }: Turn): boolean {
    if (this.#waiting.has(job.id)) return true;
    const loadMs = this.#state.estimates.loadMs(lane);
    // a repeated one has its own rules of where it may go
    if (loadMs === null || job.attemptCount > 0) return false;
    const place = this.#nextOf(lane.needsKey, this.#now + LOADS_WORTH * loadMs);
    if (!place) return false;
    this.#claimed.add(place);
    this.#waiting.add(job.id);
    return true;
  }

  /** The soonest that nobody has claimed, until then (epoch ms). */
  #nextOf(needsKey: string, until: number): SoonFree | null {
    const needs = this.#needsOf(needsKey);
    const line = this.#lineOf(needsKey, needs);
    for (; line.next < line.places.length; line.next++) {
      const place = line.places[line.next] as SoonFree;
      if (this.#claimed.has(place)) continue;
      if (place.endsAt > until) return null;
      const { candidate } = place;
      const isWarm = needs.models.every((model) => candidate.loadedModels.includes(model));
      if (isWarm && isAble(candidate, needs)) return place;
    }
    return null;
  }

  #lineOf(needsKey: string, { models }: Needs): Line {
    const known = this.#lines.get(needsKey);
    if (known) return known;
    const byModel = models.map((model) => this.#places.get(model) ?? []);
    // the fewest places that can have all of them
    const places = byModel.reduce(
      (least, some) => (some.length < least.length ? some : least),
      byModel[0] ?? [],
    );
    const line = { places, next: 0 };
    this.#lines.set(needsKey, line);
    return line;
  }

  #add(candidate: Candidate): void {
    for (const endsAt of candidate.endsAt) {
      if (endsAt === null || endsAt < this.#now) continue;
      const place = { candidate, endsAt };
      for (const model of candidate.loadedModels) {
        const places = this.#places.get(model);
        if (places) places.push(place);
        else this.#places.set(model, [place]);
      }
    }
  }
}

/** It can be told when it is free; one on trial is worth no wait. */
function isForeseen(candidate: Candidate): boolean {
  const { overdue, foreignPrompts, slowStart } = candidate;
  return takesPart(candidate) && !overdue && foreignPrompts === 0 && !slowStart;
}
