/** Full-jitter exponential backoff: uniform in [0, min(cap, base * 2^(tries-1))] (AWS Builders' Library). */
export interface BackoffBounds {
  readonly baseMs: number;
  readonly capMs: number;
}

/** Delay before try number `tries + 1`, after `tries` >= 1 failures; `random` answers numbers in [0, 1). */
export function fullJitter(tries: number, bounds: BackoffBounds, random: () => number): number {
  const ceiling = Math.min(bounds.capMs, bounds.baseMs * 2 ** Math.min(tries - 1, 30));
  return Math.floor(random() * ceiling);
}
