/**
 * Spreads the first jobs of instances that come back together (a network that heals, a gateway that starts before a full
 * queue), so that their uploads and posts do not all begin in one instant. One that comes back alone waits for nothing.
 * Pure, on the clock and the numbers passed in.
 */

/** Those that come back within this time come back together. */
const TOGETHER_MS = 1000;
const LONGEST_REST_MS = 500;
const REST_PER_INSTANCE_MS = 25;

export class Comebacks {
  readonly #random: () => number;
  readonly #up = new Set<string>();
  /** When the first job may go, monotonic ms. */
  readonly #restUntil = new Map<string, number>();
  /** When instances came back of late. */
  #recent: number[] = [];

  /** `random` answers numbers in [0, 1). */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Hears which instances are up; `now` in monotonic ms. */
  observe(up: readonly string[], now: number): void {
    const back = up.filter((id) => !this.#up.has(id));
    this.#up.clear();
    for (const id of up) this.#up.add(id);
    for (const [id, until] of this.#restUntil) if (until <= now) this.#restUntil.delete(id);
    if (back.length === 0) return;
    this.#recent = [...this.#recent.filter((at) => now - at < TOGETHER_MS), ...back.map(() => now)];
    if (this.#recent.length === 1) return;
    const longest = Math.min(LONGEST_REST_MS, this.#recent.length * REST_PER_INSTANCE_MS);
    for (const id of back) this.#restUntil.set(id, now + this.#random() * longest);
  }

  isResting(id: string, now: number): boolean {
    return (this.#restUntil.get(id) ?? now) > now;
  }

  /** When the next rest is over, monotonic ms; null when nobody rests. */
  nextEndAt(): number | null {
    return this.#restUntil.size === 0 ? null : Math.min(...this.#restUntil.values());
  }
}
