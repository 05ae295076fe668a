/** Lets a few in at a time, in the order they came: for what a crowd must not do all at once. */
export class Gate {
  readonly #atOnce: number;
  readonly #waiting = new Set<() => void>();
  #inside = 0;

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /** Who comes now has to wait. */
  get isFull(): boolean {
    return this.#inside >= this.#atOnce;
  }

  /**
   * Calls `enter` once there is room, at once when there is. What it answers leaves again, or gives up waiting; calling
   * that more than once is fine.
   */
  pass(enter: () => void): () => void {
    let leave = (): void => void this.#waiting.delete(admit);
    const admit = (): void => {
      this.#inside++;
      leave = () => {
        leave = () => undefined;
        this.#inside--;
        this.#next();
      };
      enter();
    };
    if (this.isFull) this.#waiting.add(admit);
    else admit();
    return () => leave();
  }

  /** Runs the work once there is room; null when the signal aborted first. */
  run<T>(work: () => Promise<T>): Promise<T>;
  run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T | null>;
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T | null> {
    let leave = (): void => undefined;
    await new Promise<void>((resolve) => {
      const onAbort = (): void => resolve();
      if (signal?.aborted) return resolve();
      signal?.addEventListener('abort', onAbort, { once: true });
      leave = this.pass(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
    });
    try {
      return signal?.aborted ? null : await work();
    } finally {
      leave();
    }
  }

  #next(): void {
    const [first] = this.#waiting;
    if (!first || this.isFull) return;
    this.#waiting.delete(first);
    first();
  }
}
