/** Repeatable noise for tests: the same seed, the same numbers. */

/** Evenly spread in [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Factors around 1, as run times scatter. */
export function lognormal(random: () => number, sigma: number): () => number {
  return () => {
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    return Math.exp(sigma * radius * Math.cos(2 * Math.PI * random()));
  };
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
