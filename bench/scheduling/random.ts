/** Numbers that a seed repeats, in the shapes that arrivals and jobs come in. */

export function exponential(random: () => number, mean: number): number {
  return -Math.log(1 - random()) * mean;
}

/** Lognormal: `mu` and `sigma` are those of the logarithm. */
export function lognormal(random: () => number, mu: number, sigma: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Math.exp(mu + sigma * normal);
}

/** Draws from the items in proportion to their weights. */
export function chooser<T>(items: readonly T[], weightOf: (item: T, index: number) => number) {
  const ends: number[] = [];
  let sum = 0;
  for (const [index, item] of items.entries()) {
    sum += weightOf(item, index);
    ends.push(sum);
  }
  return (random: () => number): T => {
    const at = random() * sum;
    return items[ends.findIndex((end) => at < end)] ?? (items.at(-1) as T);
  };
}

/** Demand by rank as it is found nearly everywhere: the n-th is asked for in proportion to 1/n. */
export function zipf(index: number): number {
  return 1 / (index + 1);
}

/** Of the standard normal distribution, by halving on its series (no closed form exists). */
export function normalQuantile(share: number): number {
  let low = -6;
  let high = 6;
  for (let step = 0; step < 40; step++) {
    const middle = (low + high) / 2;
    if (normalShare(middle) < share) low = middle;
    else high = middle;
  }
  return low;
}

function normalShare(at: number): number {
  let term = at;
  let sum = at;
  for (let n = 1; n < 100; n++) {
    term *= -(at * at) / (2 * n);
    sum += term / (2 * n + 1);
  }
  return 0.5 + sum / Math.sqrt(2 * Math.PI);
}
