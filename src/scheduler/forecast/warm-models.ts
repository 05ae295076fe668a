/**
 * What each instance most likely has in memory. ComfyUI does not tell, so it is inferred: the sets of model files of its last
 * prompts, newest first, and how many such sets it holds at once. That number starts at one and is learnt: a job that was as
 * fast as warm although its set lay deeper shows that more are held, one that loaded a set thought to be held shows fewer.
 * Pure.
 */
import type { Warmth } from './run-estimates.ts';

interface Memory {
  /** Sets of model files, used last first. */
  sets: readonly (readonly string[])[];
  holds: number;
  loaded: readonly string[];
}

const NOTHING: readonly string[] = [];
/** More sets than this no instance is asked about. */
const MOST_SETS = 16;

export class WarmModels {
  readonly #memories = new Map<string, Memory>();

  /** Model files it most likely has in memory, used last first; the same list until it changes. */
  loaded(instanceId: string): readonly string[] {
    return this.#memories.get(instanceId)?.loaded ?? NOTHING;
  }

  /** How many of the sets used last make up all of the models, from 1; null when not all of them were used. */
  depth(instanceId: string, models: readonly string[]): number | null {
    const missing = new Set(models);
    const sets = this.#memories.get(instanceId)?.sets ?? [];
    for (const [index, set] of sets.entries()) {
      for (const model of set) missing.delete(model);
      if (missing.size === 0) return index + 1;
    }
    return null;
  }

  /** Whether the models are thought to be in memory; a job that names none needs none. */
  isWarm(instanceId: string, models: readonly string[]): boolean {
    if (models.length === 0) return true;
    const depth = this.depth(instanceId, models);
    return depth !== null && depth <= (this.#memories.get(instanceId)?.holds ?? 1);
  }

  /** A job with these models begins there. */
  used(instanceId: string, models: readonly string[]): void {
    if (models.length === 0) return;
    const memory = this.#memoryOf(instanceId);
    const others = memory.sets.filter((set) => !isSame(set, models));
    memory.sets = [models, ...others].slice(0, MOST_SETS);
    renew(memory);
  }

  /** A job whose set lay so deep turned out to be warm or cold. */
  learn(instanceId: string, depth: number | null, warmth: Warmth): void {
    if (depth === null) return;
    const memory = this.#memoryOf(instanceId);
    if (warmth === 'warm') memory.holds = Math.max(memory.holds, depth);
    else if (depth <= memory.holds) memory.holds = Math.max(1, depth - 1);
    renew(memory);
  }

  /** It restarted, or was told to free its memory. How many sets it holds stays known. */
  forget(instanceId: string): void {
    const memory = this.#memories.get(instanceId);
    if (!memory) return;
    memory.sets = [];
    renew(memory);
  }

  /** Forgets the sets that are not wholly in the list. */
  keepOnly(instanceId: string, models: readonly string[]): void {
    const memory = this.#memories.get(instanceId);
    if (!memory) return;
    memory.sets = memory.sets.filter((set) => set.every((model) => models.includes(model)));
    renew(memory);
  }

  /** It left the fleet. */
  drop(instanceId: string): void {
    this.#memories.delete(instanceId);
  }

  #memoryOf(instanceId: string): Memory {
    const memory = this.#memories.get(instanceId) ?? { sets: [], holds: 1, loaded: NOTHING };
    this.#memories.set(instanceId, memory);
    return memory;
  }
}

function renew(memory: Memory): void {
  const loaded = [...new Set(memory.sets.slice(0, memory.holds).flat())];
  if (!isSame(loaded, memory.loaded)) memory.loaded = loaded;
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((model, index) => model === others[index]);
}
