/**
 * Lets so many go on in one turn of the event loop and the others in the next ones, in their order: a thousand listeners
 * of one message then hold up nothing else while they are told.
 */
export class Turns {
  readonly #atOnce: number;
  readonly #waiting: (() => void)[] = [];
  #left: number;
  #turning = false;

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
    this.#left = atOnce;
  }

  /** Resolves when it is the caller's turn: at once, unless many others came just before. */
  next(): Promise<void> {
    if (!this.#turning) {
      this.#turning = true;
      setImmediate(() => this.#turn());
    }
    if (this.#left > 0) {
      this.#left--;
      return Promise.resolve();
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #turn(): void {
    const now = this.#waiting.splice(0, this.#atOnce);
    this.#left = this.#atOnce - now.length;
    this.#turning = now.length > 0;
    if (this.#turning) setImmediate(() => this.#turn());
    for (const resolve of now) resolve();
  }
}
