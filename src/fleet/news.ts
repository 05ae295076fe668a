/** Tells others that an instance is not as it was when they were last told: most probes find nothing of the kind. */
import type { InstanceState } from './instance-state.ts';

export interface NewsParts {
  readonly look: () => InstanceState;
  readonly tell: () => void;
}

/** `stale` is left out: it comes with time, and whoever is held up by it awaits the next answer. */
const STATE = ['answering', 'starting', 'slowStart', 'listening', 'inventory', 'breaker'] as const;
const ROW = [
  'name',
  'capacity',
  'draining',
  'health',
  'foreignPrompts',
  'vramTotalBytes',
  'loadedModels',
] as const;

export class News {
  readonly #parts: NewsParts;
  #told: InstanceState | null = null;
  #isAwaited = false;

  constructor(parts: NewsParts) {
    this.#parts = parts;
  }

  /** Somebody waits for its next answer, whatever that is. */
  await(): void {
    this.#isAwaited = true;
  }

  /** Something about it changed. */
  changed(): void {
    this.#isAwaited = false;
    this.#told = this.#parts.look();
    this.#parts.tell();
  }

  /** A probe is done: perhaps nothing changed. */
  probed(): void {
    const now = this.#parts.look();
    if (this.#isAwaited || !this.#told || !isAlike(this.#told, now)) this.changed();
  }
}

function isAlike(a: InstanceState, b: InstanceState): boolean {
  return (
    STATE.every((field) => a[field] === b[field]) &&
    ROW.every((field) => a.instance[field] === b.instance[field])
  );
}
