/** What will happen, by time; things of one moment in the order in which they were added. */

interface Entry<T> {
  readonly at: number;
  readonly what: T;
}

export class Timeline<T> {
  /** Latest first, so that taking from it costs nothing. As long as the fleet has instances, no longer. */
  readonly #entries: Entry<T>[] = [];

  add(at: number, what: T): void {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#entries[middle] as Entry<T>).at > at) low = middle + 1;
      else high = middle;
    }
    this.#entries.splice(low, 0, { at, what });
  }

  /** Null when nothing is to come. */
  nextAt(): number | null {
    return this.#entries.at(-1)?.at ?? null;
  }

  /** Takes out everything up to that time. */
  *until(time: number): Generator<T> {
    for (let last = this.#entries.at(-1); last && last.at <= time; last = this.#entries.at(-1)) {
      this.#entries.pop();
      yield last.what;
    }
  }
}
