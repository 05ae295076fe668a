/** An instance as the planner sees it: a snapshot, nothing live. */
import { type Inventory, missingFrom, type Needs } from '../../domain/capabilities.ts';
import type { BreakerState, InstanceHealth } from '../../domain/instance.ts';

export interface Candidate {
  readonly id: string;
  /** What people call it. */
  readonly name: string;
  /** Prompts it may run at once. */
  readonly capacity: number;
  /** Places held by open attempts, canceled ones that still run included. */
  readonly takenSlots: readonly number[];
  /** When each taken place is expected to be free, epoch ms, in the order of `takenSlots`; null where nothing is known. */
  readonly endsAt: readonly (number | null)[];
  /** A run takes longer than it should: when any of its places is free nobody can say. */
  readonly overdue: boolean;
  /** Prompts in its queue that are not ours. */
  readonly foreignPrompts: number;
  readonly health: InstanceHealth;
  /** It answered when it was last asked. */
  readonly answering: boolean;
  /** It refuses connections, but has not been away for long: it may well be on its way up. */
  readonly starting: boolean;
  readonly draining: boolean;
  /** Whether faults put it aside; only a CLOSED one gets work. */
  readonly breaker: BreakerState;
  /** A prompt of ours is on it that does not start or cannot be stopped: nothing is put behind it. */
  readonly stuck: boolean;
  /** A job that took an instance down runs on it: nothing is put beside it. */
  readonly isolated: boolean;
  /** It came back together with others: its first job is a moment away. */
  readonly resting: boolean;
  /** Nothing was heard of it for longer than the probe interval: it is asked before it gets a job. */
  readonly stale: boolean;
  /** It was put aside until lately: one job at a time, and no long one that could go elsewhere. */
  readonly slowStart: boolean;
  readonly vramBytes: number | null;
  /** Null until its lists are read. */
  readonly inventory: Inventory | null;
  /** What it most likely has in memory. */
  readonly loadedModels: readonly string[];
}

/** It answers and nothing speaks against it, draining left aside. */
export function isUp(candidate: Candidate): boolean {
  return isThere(candidate) && candidate.breaker === 'CLOSED';
}

export function isThere({ answering, health }: Candidate): boolean {
  return answering && (health === 'HEALTHY' || health === 'DEGRADED');
}

/** It takes part in the work, though it may be busy at the moment. */
export function takesPart(candidate: Candidate): boolean {
  return isUp(candidate) && !candidate.draining && !candidate.stuck;
}

/** It takes part, or did until a probe was missed just now: worth a moment's wait. */
export function mayTakePartSoon({ health, breaker, draining, stuck }: Candidate): boolean {
  const isKnown = health === 'HEALTHY' || health === 'DEGRADED';
  return isKnown && breaker === 'CLOSED' && !draining && !stuck;
}

/** May be sent work now, if it has a free place. */
export function isOpen(candidate: Candidate): boolean {
  const { isolated, resting, stale } = candidate;
  return takesPart(candidate) && !isolated && !resting && !stale;
}

/** Prompts on it, whoever's they are. */
export function promptsOn({ takenSlots, foreignPrompts }: Candidate): number {
  return takenSlots.length + foreignPrompts;
}

/** What was found missing: both sides never change, and a plan asks the same of every class at every wake. */
const remembered = new WeakMap<Inventory, WeakMap<Needs, Needs>>();

/** What the candidate lacks for the class of needs. */
export function lacks({ inventory }: Candidate, needs: Needs): Needs {
  if (!inventory) return missingFrom(needs, null);
  const known = remembered.get(inventory) ?? new WeakMap<Needs, Needs>();
  remembered.set(inventory, known);
  const answer = known.get(needs) ?? missingFrom(needs, inventory);
  known.set(needs, answer);
  return answer;
}

export function isAble(candidate: Candidate, needs: Needs): boolean {
  const missing = lacks(candidate, needs);
  return missing.nodeTypes.length === 0 && missing.models.length === 0;
}
