/** So many may run at once: when the next one may begin, as far as the ends of those before it are known. Pure. */
import { Heap } from '../../lib/heap.ts';

export class RunningCap {
  readonly #most: number | null;
  /** The latest ends, as many as may run; soonest first. */
  readonly #ends = new Heap<number>((a, b) => a < b);
  #count = 0;

  /** Null for no limit. */
  constructor(most: number | null) {
    this.#most = most;
  }

  /** Minus infinity while there is room. */
  get earliest(): number {
    if (this.#most === null || this.#count < this.#most) return Number.NEGATIVE_INFINITY;
    return this.#ends.first() ?? Number.POSITIVE_INFINITY;
  }

  /** One that ends then has begun. */
  add(end: number): void {
    if (this.#most === null) return;
    this.#ends.push(end);
    this.#count++;
    if (this.#count > this.#most) {
      this.#ends.removeFirst();
      this.#count--;
    }
  }
}
