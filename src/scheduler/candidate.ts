/** An instance as the planner sees it: a snapshot, nothing live. */
import { type Inventory, missingFrom, type Needs } from '../domain/capabilities.ts';
import type { InstanceHealth } from '../domain/instance.ts';

export interface Candidate {
  readonly id: string;
  /** Prompts it may run at once. */
  readonly capacity: number;
  /** Places held by open attempts, canceled ones that still run included. */
  readonly takenSlots: readonly number[];
  /** Prompts in its queue that are not ours. */
  readonly foreignPrompts: number;
  readonly health: InstanceHealth;
  /** It answered when it was last asked. */
  readonly answering: boolean;
  readonly draining: boolean;
  /** Null until its lists are read. */
  readonly inventory: Inventory | null;
  /** What it most likely has in memory. */
  readonly loadedModels: readonly string[];
}

/** May be sent work at all, draining left aside. */
export function isUp(candidate: Candidate): boolean {
  return candidate.answering && (candidate.health === 'HEALTHY' || candidate.health === 'DEGRADED');
}

const MEMORY_LIMIT = 4096;
/** missingFrom remembered per inventory: both sides never change, and a plan asks the same question at every wake. */
const remembered = new WeakMap<Inventory, Map<string, Needs>>();

/** What the candidate lacks for the class of needs. */
export function lacks(candidate: Candidate, needsKey: string, needs: Needs): Needs {
  if (!candidate.inventory) return missingFrom(needs, null);
  let known = remembered.get(candidate.inventory);
  if (!known || known.size >= MEMORY_LIMIT) {
    known = new Map();
    remembered.set(candidate.inventory, known);
  }
  const answer = known.get(needsKey) ?? missingFrom(needs, candidate.inventory);
  known.set(needsKey, answer);
  return answer;
}

export function isAble(candidate: Candidate, needsKey: string, needs: Needs): boolean {
  const missing = lacks(candidate, needsKey, needs);
  return missing.nodeTypes.length === 0 && missing.models.length === 0;
}
