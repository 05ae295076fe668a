/**
 * Busy places of instances that have the right models in memory and are expected to be free soon: a job waits for such a
 * one when loading its models elsewhere costs more.
 */
import type { Needs } from '../domain/capabilities.ts';
import { type Candidate, isAble, takesPart } from './planning/candidate.ts';
import type { Turn } from './planning/pending-queue.ts';
import type { PlanState } from './planning/plan-state.ts';

export interface SoonFree {
  readonly candidate: Candidate;
  /** Epoch ms. */
  readonly endsAt: number;
}

/** Waiting for so many times the load is worth it: the load holds up those behind the job too. Measured: less saves less. */
const LOADS_WORTH = 2;

export class SoonWarm {
  readonly #state: PlanState;
  readonly #needsOf: (needsKey: string) => Needs;
  readonly #now: number;
  /** By model, soonest first. */
  readonly #places = new Map<string, SoonFree[]>();

  /** `now` in epoch ms. */
  constructor(state: PlanState, needsOf: (needsKey: string) => Needs, now: number) {
    this.#state = state;
    this.#needsOf = needsOf;
    this.#now = now;
    for (const candidate of state.candidates) if (takesPart(candidate)) this.#add(candidate);
    for (const places of this.#places.values()) places.sort((a, b) => a.endsAt - b.endsAt);
  }

  /** The place, that nobody else has claimed, which the job had better wait for; null when it had better go now. */
  worthWaitingFor({ job, lane }: Turn, claimed: ReadonlySet<SoonFree>): SoonFree | null {
    const needs = this.#needsOf(lane.needsKey);
    const [first, ...others] = needs.models;
    const loadMs = this.#state.estimates.loadMs(lane);
    // a repeated one has its own rules of where it may go
    if (first === undefined || loadMs === null || job.attemptCount > 0) return null;
    for (const place of this.#places.get(first) ?? []) {
      if (place.endsAt > this.#now + LOADS_WORTH * loadMs) return null;
      const { candidate } = place;
      const isWarm = others.every((model) => candidate.loadedModels.includes(model));
      if (isWarm && !claimed.has(place) && isAble(candidate, lane.needsKey, needs)) return place;
    }
    return null;
  }

  #add(candidate: Candidate): void {
    for (const endsAt of candidate.endsAt) {
      // of one that is overdue nobody knows when it ends
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
