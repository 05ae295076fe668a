/** Lets one task per key run at a time within this process, in order of arrival; different keys do not wait for each other. */
export class KeyLock {
  readonly #tails = new Map<string, Promise<unknown>>();

  /** Keys somebody holds or waits for. */
  get size(): number {
    return this.#tails.size;
  }

  /** Runs the task once all earlier tasks of the key have ended, however they ended; answers what the task answers. */
  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    const mine = before ? before.then(task, task) : task();
    this.#tails.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#tails.get(key) === mine) this.#tails.delete(key);
    }
  }
}
