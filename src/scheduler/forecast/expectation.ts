/** What is thought of a run when it begins, and how much of it is left later. Pure. */
import type { Work } from '../planning/estimates.ts';
import type { Warmth } from './run-estimates.ts';

/** Where a job is about to run. */
export interface Start extends Work {
  readonly instanceId: string;
}

export interface Expectation extends Start {
  /** Models it needs; null when that is not known. */
  readonly models: readonly string[] | null;
  /** Of its models in the memory of the instance: see WarmModels. */
  readonly depth: number | null;
  readonly warmth: Warmth;
  /** Time on the instance, loading included, in ms; null while nothing is known. */
  readonly runMs: number | null;
}

/** A run that takes longer than expected is expected to take this much longer, as part of what it took so far. */
const OVERDUE = 0.2;

/** Time left of a run that has taken so long, in ms. Times scatter, so a run is never thought to end at once. */
export function restOfRun(expectedMs: number, elapsedMs: number): number {
  return Math.max(expectedMs - elapsedMs, elapsedMs * OVERDUE);
}

/** Longer than times scatter: nobody should count on its end. */
export function isOverdue(expectedMs: number, elapsedMs: number): boolean {
  return elapsedMs > expectedMs * (1 + OVERDUE);
}

/** How far the running node is. */
export interface NodeSteps {
  /** 0 to 1. */
  readonly share: number;
  readonly remainingMs: number;
}

/**
 * Time left of the whole job, in ms; null while nothing is known. Steps tell the more the further they are: a sampler takes
 * most of most jobs. It never takes less than its running node.
 */
export function remainingOfJob(
  expectedMs: number | null,
  elapsedMs: number,
  steps: NodeSteps | null,
): number | null {
  if (expectedMs === null) return steps?.remainingMs ?? null;
  const rest = restOfRun(expectedMs, elapsedMs);
  if (!steps) return rest;
  return Math.max(steps.remainingMs, rest + (steps.remainingMs - rest) * steps.share);
}
