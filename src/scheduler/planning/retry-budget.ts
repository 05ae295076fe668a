/**
 * Repeated attempts are a small part of all dispatches, pool-wide, so that a fleet on which much fails is not filled with
 * failures. Above the budget they wait, they never fail. Pure, on the clock that is passed in.
 */

/** Dispatches of the last minutes. */
export interface RecentDispatches {
  readonly all: number;
  readonly retries: number;
}

export const BUDGET_WINDOW_MS = 300_000;
/** A small fleet may always repeat so many. */
const FLOOR = 3;

/** One more repeated attempt is within `percent` of the dispatches, itself included; 0: none at all. */
export function mayRetry({ all, retries }: RecentDispatches, percent: number): boolean {
  if (percent === 0) return false;
  return retries + 1 <= Math.max(FLOOR, Math.floor(((all + 1) * percent) / 100));
}

const SLICE_MS = 1000;

/** Counts the dispatches of the window: repeated ones to the moment, all of them in slices, so that nothing grows. */
export class DispatchCount {
  readonly #retries: number[] = [];
  /** Start of each slice to its dispatches, oldest first. */
  readonly #slices = new Map<number, number>();
  #all = 0;

  /** `at` in monotonic ms, never before an earlier one. */
  add(at: number, isRetry: boolean): void {
    const slice = Math.floor(at / SLICE_MS) * SLICE_MS;
    this.#slices.set(slice, (this.#slices.get(slice) ?? 0) + 1);
    this.#all++;
    if (isRetry) this.#retries.push(at);
  }

  recent(now: number): RecentDispatches {
    const since = now - BUDGET_WINDOW_MS;
    for (const [slice, count] of this.#slices) {
      if (slice > since) break;
      this.#slices.delete(slice);
      this.#all -= count;
    }
    const first = this.#retries.findIndex((at) => at > since);
    this.#retries.splice(0, first === -1 ? this.#retries.length : first);
    return { all: this.#all, retries: this.#retries.length };
  }
}
