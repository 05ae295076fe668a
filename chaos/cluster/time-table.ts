/** A disturbance that follows the clock: the load goes on evenly while its steps come one after the other. */
import type { Disturbance, Scene } from './under-load.ts';

export class TimeTable implements Disturbance {
  readonly #lastsMs: number;
  readonly #steps: (scene: Scene, left: () => number) => Promise<void>;
  #startedAt = Number.POSITIVE_INFINITY;

  /** `steps` is told how many ms are left, and is over when it resolves; the load is spread over `lastsMs`. */
  constructor(lastsMs: number, steps: (scene: Scene, left: () => number) => Promise<void>) {
    this.#lastsMs = lastsMs;
    this.#steps = steps;
  }

  progress(): number {
    return Math.max(0, (performance.now() - this.#startedAt) / this.#lastsMs);
  }

  async run(scene: Scene): Promise<void> {
    this.#startedAt = performance.now();
    await this.#steps(scene, () => this.#startedAt + this.#lastsMs - performance.now());
  }
}
