/**
 * Who runs what next: a pure function over a snapshot. The order of the jobs (order-walk.ts) is effective priority, fair
 * turns between tenants, arrival; jobs that are held back or have no free place that they could go to are left out of it.
 * How the places are filled from it, and when a job may overtake others, says placing.ts.
 */
import type { Needs } from '../../domain/capabilities.ts';
import { Placing } from './placing.ts';
import type { Plan, PlanState } from './plan-state.ts';

export function plan(state: PlanState, now: number): Plan {
  const { pending } = state;
  const needsOf = (needsKey: string): Needs => state.needs.get(needsKey) ?? NEEDS_NOTHING;
  const placing = new Placing(state, needsOf, now);
  placing.placeAll();
  const { assignments, cursor, reasons } = placing;
  const blocked = new Map<string, string | null>();
  for (const needsKey of pending.classes()) {
    if (placing.isLeft(needsKey))
      blocked.set(needsKey, reasons.ofClass(needsKey, placing.lanesLeft(needsKey)));
  }
  return { assignments, blocked, whyHeld: (lane) => reasons.ofLane(lane), cursor, shares: placing.shares() };
}

/** A class whose needs are not loaded is sent to whoever is free: the instance itself then says what is missing. */
const NEEDS_NOTHING: Needs = { nodeTypes: [], models: [] };
