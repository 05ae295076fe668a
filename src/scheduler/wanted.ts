/**
 * How much models are wanted while one plan is made: by the jobs at the front of the order, beside the instances that have
 * them in memory, idle or busy. A class of needs that many wait for and few hold is worth a load; what an instance would give up
 * is worth what waits for it beside the other holders.
 */
import type { Needs } from '../domain/capabilities.ts';
import { type Candidate, takesPart } from './candidate.ts';
import type { Lane } from './lane.ts';

/** Where nobody holds a model, one job pulls twice as much as where one instance does nearly nothing else. */
const NOBODY = 0.5;

export class Wanted {
  readonly #needsOf: (needsKey: string) => Needs;
  /** Instances that have the model in memory, or will when the jobs placed there run. */
  readonly #holders = new Map<string, number>();
  readonly #waiting = new Map<string, number>();
  readonly #waitingForModel = new Map<string, number>();

  constructor(candidates: readonly Candidate[], needsOf: (needsKey: string) => Needs) {
    this.#needsOf = needsOf;
    for (const candidate of candidates)
      if (takesPart(candidate)) for (const model of candidate.loadedModels) add(this.#holders, model, 1);
  }

  /** The front is about to be counted anew. */
  clear(): void {
    this.#waiting.clear();
    this.#waitingForModel.clear();
  }

  /** One more job at the front of the order. */
  waits({ needsKey }: Lane): void {
    add(this.#waiting, needsKey, 1);
    for (const model of this.#needsOf(needsKey).models) add(this.#waitingForModel, model, 1);
  }

  /** A job goes there; one that finds its models changes nothing. */
  goes({ needsKey }: Lane, loaded: readonly string[]): void {
    const { models } = this.#needsOf(needsKey);
    add(this.#waiting, needsKey, -1);
    for (const model of models) {
      add(this.#waitingForModel, model, -1);
      if (!loaded.includes(model)) add(this.#holders, model, 1);
    }
    for (const model of leaving(loaded, models)) add(this.#holders, model, -1);
  }

  /** How much the class pulls an instance to itself. */
  pullOf(needsKey: string): number {
    const { models } = this.#needsOf(needsKey);
    if (models.length === 0) return 0;
    const holders = Math.min(...models.map((model) => this.#holders.get(model) ?? 0));
    return (this.#waiting.get(needsKey) ?? 0) / (NOBODY + holders);
  }

  /** How much is wanted of what would leave memory when such a job comes; below 0 when nothing would. */
  lossOf(loaded: readonly string[], models: readonly string[]): number {
    return Math.max(-1, ...leaving(loaded, models).map((model) => this.#pullWithout(model)));
  }

  /** How much is wanted of all that is in memory. */
  worthOf(loaded: readonly string[]): number {
    return Math.max(0, ...loaded.map((model) => this.#pullWithout(model)));
  }

  #pullWithout(model: string): number {
    const others = Math.max(0, (this.#holders.get(model) ?? 0) - 1);
    return (this.#waitingForModel.get(model) ?? 0) / (NOBODY + others);
  }
}

/** What was used longest ago makes room. */
function leaving(loaded: readonly string[], models: readonly string[]): string[] {
  const missing = models.filter((model) => !loaded.includes(model)).length;
  if (missing === 0) return [];
  return loaded.filter((model) => !models.includes(model)).slice(-missing);
}

function add(counts: Map<string, number>, key: string, more: number): void {
  counts.set(key, (counts.get(key) ?? 0) + more);
}
