/**
 * What each instance most likely has in memory. ComfyUI does not tell, so it is inferred: the sets of model files of its last
 * prompts, newest first, and how many such sets it holds at once. That number starts at one and is learnt: jobs that were as
 * fast as warm although their sets lay deeper speak for more, those that loaded speak against it. Times scatter, so it takes
 * several of one kind to be believed. Pure.
 */
import type { Warmth } from './run-estimates.ts';

interface Memory {
  /** Sets of model files, used last first. */
  sets: readonly (readonly string[])[];
  /** By depth: how many more jobs found their set there in memory than did not, of late. */
  readonly evidence: number[];
  loaded: readonly string[];
}

const NOTHING: readonly string[] = [];
/** More sets than this no instance is asked about. */
const MOST_SETS = 16;
/** Evidence that is believed. */
const CONVINCED = 5;
/** No more is kept than takes twice as many to turn, as machines change. */
const MOST_EVIDENCE = 10;

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
    return models.length === 0 || this.knownAt(instanceId, this.depth(instanceId, models)) === 'warm';
  }

  /** Whether a set so deep is in memory; null where neither is believed yet. */
  knownAt(instanceId: string, depth: number | null): Warmth | null {
    if (depth === null) return 'cold';
    const evidence = this.#memories.get(instanceId)?.evidence ?? [];
    if (depth <= deepest(evidence)) return 'warm';
    return (evidence[depth] ?? 0) <= -CONVINCED ? 'cold' : null;
  }

  /** A job with these models begins there. */
  used(instanceId: string, models: readonly string[]): void {
    if (models.length === 0) return;
    const memory = this.#memoryOf(instanceId);
    const others = memory.sets.filter((set) => !isSame(set, models));
    memory.sets = [models, ...others].slice(0, MOST_SETS);
    renew(memory);
  }

  /** The job did not begin after all: its set lies as deep as before it. */
  unused(instanceId: string, models: readonly string[], depth: number | null): void {
    const memory = this.#memories.get(instanceId);
    if (!memory?.sets.some((set) => isSame(set, models))) return;
    const others = memory.sets.filter((set) => !isSame(set, models));
    memory.sets = depth === null ? others : others.toSpliced(depth - 1, 0, models);
    renew(memory);
  }

  /** A job whose set lay so deep turned out to be warm or cold; null where its time does not tell. */
  learn(instanceId: string, depth: number | null, warmth: Warmth | null): void {
    if (depth === null || warmth === null) return;
    const memory = this.#memoryOf(instanceId);
    const evidence = (memory.evidence[depth] ?? 0) + (warmth === 'warm' ? 1 : -1);
    memory.evidence[depth] = Math.min(MOST_EVIDENCE, Math.max(-MOST_EVIDENCE, evidence));
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
    const memory = this.#memories.get(instanceId) ?? { sets: [], evidence: [], loaded: NOTHING };
    this.#memories.set(instanceId, memory);
    return memory;
  }
}

/** How many sets it is believed to hold. */
function deepest(evidence: readonly number[]): number {
  return Math.max(
    1,
    evidence.findLastIndex((count) => count >= CONVINCED),
  );
}

function renew(memory: Memory): void {
  const loaded = [...new Set(memory.sets.slice(0, deepest(memory.evidence)).flat())];
  if (!isSame(loaded, memory.loaded)) memory.loaded = loaded;
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((model, index) => model === others[index]);
}
